/** An open connection: runs scripts on it, a few at a time, and closes it. */
import type { Client } from 'ssh2'
import { HactlError } from '../../errors.ts'
import type { Clock, CommandResult, ConnectTarget, RunOptions, Script, Session } from '../../ports.ts'
import type { Way } from './become.ts'
import { bootstrapFor, judgeSudo, wrapScript } from './become.ts'
import type { ExecOutcome } from './exec.ts'
import { exec } from './exec.ts'
import { runError } from './failure.ts'
import { patienceFor } from '../../patience.ts'

/** One command, for a log file. Holds no secret: the script is the masked one. */
export interface SshLogEntry {
  readonly server: string
  readonly label: string
  /** ms since the epoch. */
  readonly startedAtMs: number
  readonly durationMs: number
  /** undefined: how the command ended is not known. */
  readonly code: number | undefined
  readonly script: string
  /** The last bytes of the output. */
  readonly stdoutTail: string
  readonly stderrTail: string
}

export interface SessionInit {
  readonly client: Client
  /** Jump hosts, first hop first: closed after the client. */
  readonly jumps: readonly Client[]
  readonly target: ConnectTarget
  /** The login user. */
  readonly user: string
  readonly peer: string
  readonly localAddress: string | undefined
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly log: ((entry: SshLogEntry) => void) | undefined
}

/** sshd allows 10 sessions per connection (MaxSessions), and frees an ended one late: 8 workers were seen to fail. */
const MAX_CHANNELS = 4
const DEFAULT_MAX_BYTES = 16 * 1024 * 1024
/** A login or sudo may wait for a slow directory service. */
const SHELL_LIMIT_MS = 60_000
/** How much later than the controller the server ends a command by itself. */
const SERVER_GRACE_MS = 10_000
const LOG_TAIL_CHARS = 4_096
const CLOSE_WAIT_MS = 300

export function createSession(init: SessionInit): Session {
  const { client, target, clock } = init
  const slots = createSlots(MAX_CHANNELS)
  const patience = patienceFor(target.connectTimeoutMs)
  let way: Way | undefined = target.become && init.user !== 'root' ? undefined : 'login'
  let lostBy: Error | undefined
  let closing: Promise<void> | undefined
  /** A wrong password that is tried again and again locks the account (pam_faillock). */
  let wrongPassword: ExecOutcome | undefined
  client.on('error', (error: Error) => {
    lostBy ??= error
  })
  const closed = new Set<Client>()
  for (const open of [client, ...init.jumps]) open.once('close', () => closed.add(open))

  async function runOnce(script: Script, options: RunOptions, deadlineMs: number, limitMs: number): Promise<ExecOutcome> {
    if (wrongPassword !== undefined) return wrongPassword
    const password = target.becomePassword
    // Before hactl knows that sudo asks for nothing, sudo could take a script that came too early for a password.
    const tried = way ?? (password === undefined ? 'sudo' : 'password')
    const outcome = await exec(client, {
      command: bootstrapFor(tried, limitMs / 1000),
      script: wrapScript(script),
      isSentAtOnce: tried !== 'password',
      password,
      deadlineMs,
      shellLimitMs: SHELL_LIMIT_MS * patience,
      signal: options.signal,
      onLine: options.onLine,
      maxBytes: options.maxBytes ?? DEFAULT_MAX_BYTES,
    })
    if (outcome.kind === 'done') way ??= outcome.via
    const isWrong =
      outcome.kind === 'wrong-password' || (outcome.kind === 'no-shell' && outcome.isSudo && judgeSudo(outcome.stderr) === 'wrong-password')
    if (isWrong) wrongPassword = outcome
    return outcome
  }

  async function run(script: Script, options: RunOptions): Promise<CommandResult> {
    const hasFixedLimit = options.hasFixedLimit === true
    const deadlineMs = options.deadlineMs * (hasFixedLimit ? 1 : patience)
    const limitMs = deadlineMs + SERVER_GRACE_MS
    await slots.take(options, target)
    const startedAtMs = clock.now()
    const from = clock.monotonic()
    try {
      const outcome = await runOnce(script, options, deadlineMs, limitMs)
      const durationMs = clock.monotonic() - from
      init.log?.({
        server: target.server,
        label: options.label,
        startedAtMs,
        durationMs,
        code: outcome.kind === 'done' ? outcome.code : undefined,
        script: script.masked,
        stdoutTail: 'stdout' in outcome ? logged(outcome.stdout, options) : '',
        stderrTail: 'stderr' in outcome ? logged(outcome.stderr, options) : '',
      })
      if (outcome.kind === 'done') return { code: outcome.code, stdout: outcome.stdout, stderr: outcome.stderr, durationMs }
      const known = outcome.kind === 'lost' && lostBy !== undefined ? { ...outcome, cause: lostBy } : outcome
      throw runError(known, { target, user: init.user, label: options.label, deadlineMs, limitMs, hasFixedLimit })
    } finally {
      slots.give()
    }
  }

  return {
    server: target.server,
    peer: init.peer,
    patience,
    ...(init.localAddress === undefined ? {} : { localAddress: init.localAddress }),
    run,
    close: () => {
      // They close in this order, because the last packets of each pass through the hop before it.
      closing ??= Promise.all([client, ...init.jumps.toReversed()].filter(c => !closed.has(c)).map(closeClient)).then(() => undefined)
      return closing
    },
  }
}

/** Ends a connection, by force where the server no longer answers. */
function closeClient(client: Client): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      client.destroy()
      resolve()
    }, CLOSE_WAIT_MS)
    client.once('close', done)
    client.end()
  })
}

function createSlots(count: number): { take(options: RunOptions, target: ConnectTarget): Promise<void>; give(): void } {
  let free = count
  const waiting: (() => void)[] = []
  return {
    take(options, target) {
      const { signal, label } = options
      if (signal?.aborted) return Promise.reject(interrupted(label, target))
      if (free > 0) {
        free--
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const enter = () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        }
        const leave = () => {
          waiting.splice(waiting.indexOf(enter), 1)
          reject(interrupted(label, target))
        }
        waiting.push(enter)
        signal?.addEventListener('abort', leave, { once: true })
      })
    },
    give() {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    },
  }
}

function interrupted(label: string, target: ConnectTarget): HactlError {
  return new HactlError({ code: 'E_INTERRUPTED', server: target.server, what: `${label}: interrupted before it started`, didNotRun: true })
}

function logged(output: string, options: RunOptions): string {
  return options.hasSecretOutput === true ? `<${output.length} characters>` : output.slice(-LOG_TAIL_CHARS)
}
