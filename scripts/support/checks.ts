import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './places.ts'

/** The npm script that takes longest, and leaves a core idle now and then: half of the tests wait for something. */
export const FAST_TESTS = 'test:fast'

/** The npm scripts that `npm run check` and `npm test` run. */
export const CHECKS: readonly string[] = ['typecheck', 'lint', 'dead', 'format:check', 'check:on-server', FAST_TESTS]

/** The command lines in package.json, by the names of their npm scripts. Throws where there is none of a name. */
export function commandsOf(names: readonly string[]): ReadonlyMap<string, string> {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scripts: Readonly<Record<string, string>> }
  return new Map(
    names.map(name => {
      const command = scripts[name]
      if (command === undefined) throw new Error(`package.json has no script ${name}`)
      return [name, command]
    }),
  )
}
