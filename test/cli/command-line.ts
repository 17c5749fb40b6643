/** Runs one command line in process, with fakes of the ports and of the app layer. */
import type { AppFunctions } from '../../src/cli/app-contract.ts'
import { run } from '../../src/cli/run.ts'
import type { Tree } from '../../src/cli/output.ts'
import type { Prompter } from '../../src/cli/wizard/prompter.ts'
import { fakePorts } from '../support/terminal.ts'

export interface Ran {
  readonly exit: number
  readonly out: string
  readonly err: string
  /** The lines of stdout as JSON; only with --json. */
  readonly objects: () => Record<string, unknown>[]
  /** The last of them. */
  readonly result: () => Record<string, unknown>
}

export interface Scene {
  readonly app?: Partial<AppFunctions>
  readonly ports?: Parameters<typeof fakePorts>[0]
  readonly prompter?: Prompter
  readonly tree?: Tree
  readonly impatience?: AbortSignal
}

export async function runLine(argv: readonly string[], scene: Scene = {}): Promise<Ran> {
  const controller = new AbortController()
  const ports = fakePorts({ signal: controller.signal, ...scene.ports })
  const app = new Proxy<Partial<AppFunctions>>(scene.app ?? {}, {
    get: (given, name) =>
      Reflect.get(given, name) ??
      (async () => {
        throw new Error(`the test did not expect ${String(name)}`)
      }),
  }) as AppFunctions
  const exit = await run(argv, ports, {
    app,
    prompter: async () => {
      if (scene.prompter === undefined) throw new Error('the test did not expect a question')
      return scene.prompter
    },
    createTree: async () => {
      if (scene.tree === undefined) throw new Error('the test did not expect a tree')
      return scene.tree
    },
    interrupt: () => controller.abort('SIGINT'),
    impatience: scene.impatience ?? new AbortController().signal,
    version: '1.2.3',
    packageRoot: '/opt/hactl',
  })
  const out = ports.terminal.out()
  const objects = () =>
    out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
  return {
    exit,
    out,
    err: ports.terminal.err(),
    objects,
    result: () => objects().at(-1) ?? {},
  }
}
