/** Children of a script, bounded in time and ended with it; and how a script itself ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter } from 'node:path'
import { binFolder, labState, root } from './places.ts'

export const MINUTE_MS = 60_000
const KILL_AFTER_MS = 15_000

/** What stops a script with a plain message: what, why, fix. */
export class Stop extends Error {
  readonly status: number

  constructor(what: string, why: string, fix: string, status = 1) {
    super([what, `  why  ${why}`, `  fix  ${fix}`].join('\n'))
    this.status = status
  }
}

// ---------------------------------------------------------------- signals and children

const children = new Set<ChildProcess>()
let interruptedBy: NodeJS.Signals | undefined

/** The signal that asked this script to end; undefined while none did. */
export const interruption = (): NodeJS.Signals | undefined => interruptedBy

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interruptedBy ??= signal
    for (const child of children) signalGroup(child, signal)
  })
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

// Some tools colour their output wherever CI is set: a log is for reading and for grep.
const PLAIN = { NO_COLOR: '1', FORCE_COLOR: undefined }

const searchPath = (first: readonly string[]) =>
  [...first, ...(process.env['PATH'] ?? '').split(delimiter).filter(folder => folder !== binFolder)].join(delimiter)

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly timeoutMs?: number
  /** Gets what the command prints (stdout and stderr); without it the command prints for itself. */
  readonly onText?: (text: string, stream: 'stdout' | 'stderr') => void
  /** Keeps what it prints to itself. */
  readonly capture?: boolean
  /** Folders before those of $PATH. */
  readonly path?: readonly string[]
  readonly cwd?: string | undefined
  readonly input?: string
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly timedOut: boolean
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

/**
 * Runs a command in a process group of its own, bounded in time, with no stdin.
 * Never rejects for an exit status.
 */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env = {}, timeoutMs = 10 * MINUTE_MS, onText, capture = false, path = [binFolder], cwd = root, input } = options
  return new Promise((resolve, reject) => {
    const began = performance.now()
    const piped = capture || onText !== undefined
    const child = spawn(command, args, {
      cwd,
      // What hactl does to a lab does not belong into its user's own log.
      env: { ...process.env, ...(process.stdout.isTTY ? {} : PLAIN), XDG_STATE_HOME: labState, PATH: searchPath(path), ...env },
      detached: true,
      stdio: [input === undefined ? 'ignore' : 'pipe', piped ? 'pipe' : 'inherit', piped ? 'pipe' : 'inherit'],
    })
    children.add(child)
    const out = { stdout: '', stderr: '' }
    for (const name of piped ? (['stdout', 'stderr'] as const) : []) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        out[name] += text
        onText?.(text, name)
      })
    }
    if (input !== undefined) child.stdin?.on('error', () => {}).end(input)
    let timedOut = false
    let killer: NodeJS.Timeout | undefined
    const timer = setTimeout(() => {
      timedOut = true
      signalGroup(child, 'SIGTERM')
      killer = setTimeout(() => signalGroup(child, 'SIGKILL'), KILL_AFTER_MS)
    }, timeoutMs)
    const settle = (settled: () => void) => {
      clearTimeout(timer)
      clearTimeout(killer)
      children.delete(child)
      settled()
    }
    child.on('error', error => settle(() => reject(error)))
    child.on('close', (code, signal) => settle(() => resolve({ code, signal, timedOut, ms: performance.now() - began, ...out })))
  })
}

/** Like run(), but anything other than exit 0 stops the script. */
export async function must(what: string, command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const result = await run(command, args, options)
  if (result.code === 0) return result
  assertUninterrupted(what)
  throw new Stop(
    what,
    result.timedOut
      ? `the command did not end within ${Math.round((options.timeoutMs ?? 10 * MINUTE_MS) / 1000)} s`
      : `exit ${result.code ?? result.signal}, see above`,
    `run it by hand: ${[command, ...args].join(' ')}`,
  )
}

/** Does `after` once `work` has ended, whichever way. What `work` throws is thrown rather than what `after` does, which is then printed. */
export async function finallyDo<T>(work: () => Promise<T>, after: () => Promise<unknown>): Promise<T> {
  let result: T
  try {
    result = await work()
  } catch (error) {
    await after().catch((another: unknown) => console.error(messageOf(another)))
    throw error
  }
  await after()
  return result
}

function assertUninterrupted(what: string): void {
  if (interruptedBy === undefined) return
  throw new Stop(`${what}: interrupted`, interruptedBy, 'run it again', exitStatusOf(interruptedBy))
}

/** Stops the script where a signal asked for it. */
export function stopIfInterrupted(why: string, fix: string): void {
  if (interruptedBy !== undefined) throw new Stop('interrupted', why, fix, exitStatusOf(interruptedBy))
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** As a shell counts: 128 + the number of the signal. */
function exitStatusOf(signal: NodeJS.Signals): number {
  return 128 + (constants.signals[signal] ?? 0)
}

/** Runs a script's main function: a Stop is printed without a stack, and decides the exit status. */
export async function main(work: () => Promise<number | void>): Promise<void> {
  try {
    process.exitCode = (await work()) ?? 0
  } catch (error) {
    console.error(error instanceof Stop ? `\n${error.message}` : error)
    process.exitCode = error instanceof Stop ? error.status : 1
  }
  if (interruptedBy !== undefined) process.exitCode = exitStatusOf(interruptedBy)
}
