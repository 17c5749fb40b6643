import { asHactlError, EXIT_OF, HactlError, HactlErrors } from '../errors.ts'
import { type RunState, verdictOn } from '../exit-status.ts'
import type { Ports } from '../ports.ts'
import type { AppFunctions } from './app-contract.ts'
import { changesSoFar } from './changed-so-far.ts'
import type { Outcome } from './command.ts'
import { usageError } from './flags.ts'
import { createOutput, type Output, type TreeFactory } from './output.ts'
import { commandOf, parseArgv } from './parser.ts'
import { COMMANDS, GLOBAL_FLAGS } from './program.ts'
import { renderStopped } from './view/deploy.ts'
import { errorResult, renderError } from './view/error.ts'
import type { Prompter } from './wizard/prompter.ts'

/** What a run needs besides the ports: main.ts passes the real things, tests pass fakes. */
export interface RunHooks {
  readonly app: AppFunctions
  readonly prompter: () => Promise<Prompter>
  readonly createTree: TreeFactory
  /** Stops the run as Ctrl+C does, for a question in the middle of the work: the terminal sends no signal there. */
  readonly interrupt: () => void
  /** Aborted by a second signal, while the first is still being obeyed. */
  readonly impatience: AbortSignal
  readonly version: string
  /** Folder of hactl's own package.json, playbooks/ and inventory.schema.json. */
  readonly packageRoot: string
}

/**
 * Runs one command line (argv without node and script) and gives its exit status. It never throws and never ends the process.
 * The last line of --json is always the result.
 */
export async function run(argv: readonly string[], ports: Ports, hooks: RunHooks): Promise<number> {
  const output = createOutput(outputSettings(argv, ports), ports.terminal, hooks.createTree)
  const command = commandOf(argv)
  const tell = (text: string) => (output.quiet ? output.problem(text) : output.event({ kind: 'warning', text }))
  const onSignal = () => {
    const name = interruptName(ports.signal)
    if (name !== undefined) tell(`${name}: stopping, and undoing what is in progress`)
  }
  const onImpatience = () => tell('the undo is still running; one more signal ends hactl at once, and may leave a server disturbed')
  ports.signal.addEventListener('abort', onSignal, { once: true })
  hooks.impatience.addEventListener('abort', onImpatience, { once: true })
  const changes = changesSoFar(ports.ledger)
  const event: Output['event'] = happened => {
    changes.see(happened)
    output.event(happened)
  }
  const outcome = await perform(argv, ports, hooks, { ...output, event }).catch(
    (thrown: unknown): Outcome => ({ exit: 1, result: {}, thrown }),
  )
  ports.signal.removeEventListener('abort', onSignal)
  hooks.impatience.removeEventListener('abort', onImpatience)
  await output.settle()
  if (outcome.thrown === undefined) {
    output.object({ event: 'result', command, exit: outcome.exit, ...outcome.result })
    return outcome.exit
  }
  const servers = changes.servers()
  if (servers.length > 0) output.problem(renderStopped(servers))
  return tellError(classify(outcome.thrown, ports.signal), ports, command, output, {
    ...outcome.result,
    ...(servers.length > 0 ? { servers } : {}),
  })
}

/** Reports an error that run() could not catch, in the way in which run() reports errors. Gives the exit status. */
export function tellFault(thrown: unknown, argv: readonly string[], ports: RunState & Pick<Ports, 'env' | 'terminal'>): number {
  const noTree = () => Promise.reject(new Error('a fault is told without a drawing'))
  const output = createOutput(outputSettings(argv, ports), ports.terminal, noTree)
  return tellError(asHactlError(thrown), ports, commandOf(argv), output)
}

function tellError(
  error: HactlError,
  run: RunState,
  command: string,
  output: Output,
  soFar: Readonly<Record<string, unknown>> = {},
): number {
  const { exit, worst } = verdictOn(error, run)
  output.problem(renderError(error, { columns: output.errorColumns, verbose: output.verbose, style: output.errorStyle }))
  output.object({ event: 'result', command, exit, ...withServers(errorResult(error, worst), soFar) })
  return exit
}

/** What failed and what was changed, both by server: one entry for each. */
function withServers(failure: Readonly<Record<string, unknown>>, soFar: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const servers = new Map<unknown, object>()
  for (const list of [soFar['servers'], failure['servers']]) {
    if (!Array.isArray(list)) continue
    for (const entry of list) if (isNamed(entry)) servers.set(entry.name, { ...servers.get(entry.name), ...entry })
  }
  return { ...failure, ...soFar, servers: [...servers.values()] }
}

function isNamed(entry: unknown): entry is { readonly name: unknown } {
  return typeof entry === 'object' && entry !== null && 'name' in entry
}

const HELP_COLUMNS = 80

async function perform(argv: readonly string[], ports: Ports, hooks: RunHooks, output: Output): Promise<Outcome> {
  const parsed = parseArgv(argv, { version: hooks.version, columns: Math.min(output.columns, HELP_COLUMNS) })
  if (parsed.kind === 'help') {
    if (parsed.askedFor) {
      output.important(parsed.text)
      return { exit: 0, result: {} }
    }
    output.problem(parsed.text)
    throw usageError('no command was given', 'hactl COMMAND --help explains one of them')
  }
  const command = await parsed.spec.load()
  const { terminal } = ports
  return command({
    ports,
    app: hooks.app,
    flags: parsed.flags,
    argument: parsed.operands[0],
    operands: parsed.operands,
    output,
    table: { commands: COMMANDS, globalFlags: GLOBAL_FLAGS },
    // Questions are asked on stderr, so that stdout can go into a file or a pipe.
    interactive: terminal.stdinIsTTY && terminal.stderrIsTTY,
    prompter: hooks.prompter,
    interrupt: hooks.interrupt,
    version: hooks.version,
    packageRoot: hooks.packageRoot,
  })
}

// Read before argv is parsed, because a usage error must already obey them.
function outputSettings(argv: readonly string[], ports: Pick<Ports, 'env'>): Parameters<typeof createOutput>[0] {
  const end = argv.indexOf('--')
  const words = end < 0 ? argv : argv.slice(0, end)
  // -vq is -v -q. Letters that take a value (-i, -l, -d) are never in such a group.
  const has = (long: string, letter?: string) =>
    words.some(word => word === long || (letter !== undefined && /^-[yvqKw]+$/.test(word) && word.includes(letter)))
  const { env } = ports
  const colour = !has('--no-color') && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
  return { json: has('--json'), quiet: has('--quiet', 'q'), verbose: has('--verbose', 'v'), colour }
}

function interruptName(signal: AbortSignal): 'SIGINT' | 'SIGTERM' | undefined {
  return signal.reason === 'SIGINT' || signal.reason === 'SIGTERM' ? signal.reason : undefined
}

/** After a signal, an error that is not a HactlError counts as the interrupt. */
function classify(thrown: unknown, signal: AbortSignal): HactlError {
  if (!signal.aborted) return asHactlError(thrown)
  const name = interruptName(signal)
  // main.ts aborts with the error itself when nothing could catch it.
  if (name === undefined) return thrown instanceof HactlError && EXIT_OF[thrown.code] === 8 ? thrown : asHactlError(signal.reason)
  if (thrown instanceof HactlError && thrown.code !== 'E_INTERRUPTED') return thrown
  if (thrown instanceof HactlErrors) {
    const others = thrown.errors.filter(error => error.code !== 'E_INTERRUPTED')
    const interrupt = interruptBy(name, undefined, thrown)
    return others.length === 0 ? interrupt : new HactlErrors([...others, interrupt])
  }
  return interruptBy(name, thrown instanceof HactlError ? thrown : undefined, thrown)
}

function interruptBy(name: 'SIGINT' | 'SIGTERM', ours: HactlError | undefined, cause: unknown): HactlError {
  return new HactlError({
    code: 'E_INTERRUPTED',
    what: ours?.message ?? `interrupted by ${name}`,
    why: ours?.why ?? [],
    ...(ours?.fix === undefined ? {} : { fix: ours.fix }),
    ...(ours?.server === undefined ? {} : { server: ours.server }),
    cause,
  })
}
