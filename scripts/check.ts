// Everything that needs neither a network nor a lab: the fast tests, and beside them the other checks one after the other, so that no core is
// idle. Each prints its output whole at its end. Exits 0 only when all of them passed.
import { CHECKS, commandsOf, FAST_TESTS } from './support/checks.ts'
import { bold, heading, seconds } from './support/output.ts'
import { interruption, main, MINUTE_MS, run } from './support/process.ts'

/** A limit against hanging: on a busy machine the fast tests take many minutes. */
const LIMIT_MS = 30 * MINUTE_MS

/** What is piped is shown on a terminal all the same. */
const COLOUR = process.stdout.isTTY && !process.env['NO_COLOR'] ? { FORCE_COLOR: '1' } : {}

/** Whether it passed. */
async function check(name: string, command: string): Promise<boolean> {
  let text = ''
  const { code, timedOut, ms } = await run('sh', ['-c', command], {
    timeoutMs: LIMIT_MS,
    env: COLOUR,
    onText: more => {
      text += more
    },
  })
  const passed = code === 0 && !timedOut
  const outcome = timedOut ? 'stopped' : passed ? 'passed' : 'failed'
  heading(`npm run ${name}: ${outcome} after ${seconds(ms)}`)
  process.stdout.write(text)
  return passed
}

await main(async () => {
  const commands = commandsOf(CHECKS)
  const failed = new Set<string>()
  const inTurn = async (names: readonly string[]) => {
    for (const name of names) {
      if (interruption() !== undefined) return
      if (!(await check(name, commands.get(name) ?? ''))) failed.add(name)
    }
  }
  await Promise.all([inTurn([FAST_TESTS]), inTurn(CHECKS.filter(name => name !== FAST_TESTS))])
  if (failed.size === 0) return 0
  const names = CHECKS.filter(name => failed.has(name)).map(name => `npm run ${name}`)
  console.log(`\n${bold(`failed: ${names.join(', ')}`)}`)
  return 1
})
