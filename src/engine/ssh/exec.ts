/** One command on an open connection: a single ssh exec, from the becoming of root to the last byte of output. */
import { constants } from 'node:os'
import type { Client, ClientChannel } from 'ssh2'
import type { Secret } from '../../secret.ts'
import { STOP_GRACE_MS } from '../limits.ts'
import { CANCEL_LINE, PROMPT, READY, VIA_SUDO } from './become.ts'
import { Collector, LineSplitter, PrefixScanner, TailCollector } from './output.ts'

export interface ExecRequest {
  readonly command: string
  /** Goes to stdin. */
  readonly script: string
  /** Send the script without waiting for the shell. Only where no program on the server may take it for a password. */
  readonly isSentAtOnce: boolean
  readonly password: Secret | undefined
  readonly deadlineMs: number
  /** How long the shell that reads the script may take to be there. */
  readonly shellLimitMs: number
  readonly signal: AbortSignal | undefined
  readonly onLine: ((line: string) => void) | undefined
  readonly maxBytes: number
}

export type ExecOutcome =
  | {
      readonly kind: 'done'
      readonly code: number
      readonly stdout: string
      readonly stderr: string
      readonly via: 'login' | 'sudo' | 'password'
    }
  /** The command ended, or got stuck, before a shell read the script: nothing ran. */
  | { readonly kind: 'no-shell'; readonly stderr: string; readonly isSudo: boolean; readonly isStuck: boolean }
  | { readonly kind: 'wrong-password' }
  /** isStopped: the server confirmed that the command is gone. */
  | { readonly kind: 'timeout'; readonly isStopped: boolean; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'aborted'; readonly isStopped: boolean; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'too-much'; readonly stderr: string }
  /** hasStarted: the script had arrived, so it may have run. */
  | { readonly kind: 'lost'; readonly hasStarted: boolean; readonly cause: unknown; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'channel-refused'; readonly cause: Error }
  | { readonly kind: 'failed'; readonly cause: unknown }

const STDERR_TAIL_BYTES = 1024 * 1024
/** sshd refuses a channel above MaxSessions (10), and frees one a little after the command has ended. */
const CHANNEL_RETRY_MS = [50, 100, 200, 400]

/** Runs one command. Never throws and never hangs: bounded by the deadline plus STOP_GRACE_MS. */
export async function exec(client: Client, request: ExecRequest): Promise<ExecOutcome> {
  for (const waitMs of [...CHANNEL_RETRY_MS, undefined]) {
    const outcome = await execOnce(client, request)
    if (outcome.kind !== 'channel-refused' || waitMs === undefined || request.signal?.aborted) return outcome
    await new Promise(resolve => setTimeout(resolve, waitMs))
  }
  throw new TypeError('unreachable: the last round returns')
}

function execOnce(client: Client, request: ExecRequest): Promise<ExecOutcome> {
  return new Promise(resolve => {
    let channel: ClientChannel | undefined
    let code: number | undefined
    let isShellReady = false
    let isFlushed = false
    let isConnectionClosed = false
    let isSettled = false
    let prompts = 0
    /** What will be reported once the command is stopped. */
    let stopping: 'timeout' | 'aborted' | 'too-much' | undefined
    let failure: unknown
    const timers = new Set<NodeJS.Timeout>()
    const after = (ms: number, action: () => void) => timers.add(setTimeout(action, ms))

    const stdout = new Collector(request.maxBytes)
    const stderr = new TailCollector(STDERR_TAIL_BYTES)
    const lines = request.onLine === undefined ? undefined : new LineSplitter(request.onLine)
    const outHead = new PrefixScanner(`${READY}\n`)
    const errHead = new PrefixScanner(`${READY}\n`)

    const settle = (outcome: ExecOutcome) => {
      isSettled = true
      for (const timer of timers) clearTimeout(timer)
      request.signal?.removeEventListener('abort', onAbort)
      client.off('close', onConnectionClose)
      channel?.close()
      resolve(outcome)
    }
    const output = () => ({ stdout: stdout.text(), stderr: stderr.text() })

    function conclude(isStopped: boolean, cause?: unknown): void {
      if (isSettled) return
      try {
        lines?.end()
      } catch (thrown) {
        failure = thrown
      }
      if (failure !== undefined) return settle({ kind: 'failed', cause: failure })
      if (stopping === 'too-much') return settle({ kind: 'too-much', stderr: stderr.text() })
      if (stopping !== undefined) return settle({ kind: stopping, isStopped, ...output() })
      // Output may be cut even where an exit status came, because sshd sends that before the last output.
      if (isConnectionClosed || (isShellReady && code === undefined)) {
        return settle({ kind: 'lost', hasStarted: isFlushed, cause, ...output() })
      }
      const head = errHead.head()
      const isSudo = head.includes(VIA_SUDO)
      if (!isShellReady || code === undefined) return settle({ kind: 'no-shell', stderr: head, isSudo, isStuck: false })
      settle({ kind: 'done', code, ...output(), via: !isSudo ? 'login' : prompts > 0 ? 'password' : 'sudo' })
    }

    function stop(reason: 'timeout' | 'aborted' | 'too-much'): void {
      if (stopping !== undefined || isSettled) return
      stopping = reason
      // Half a script never runs, so the end of the channel is enough.
      if (channel === undefined || !isFlushed) return conclude(true)
      const cancel = () => {
        channel?.write(CANCEL_LINE)
        // It reaches a process that sshd may signal (the same user). The line above also reaches one of root under sudo.
        channel?.signal('TERM')
      }
      cancel()
      // It is sent again: the shell itself reads a line that came together with the script's end.
      after(STOP_GRACE_MS / 4, cancel)
      after(STOP_GRACE_MS, () => conclude(false))
    }

    const onAbort = () => stop('aborted')
    const onConnectionClose = () => {
      isConnectionClosed = true
      // The channel's own close follows at once. This is for the case that it does not.
      after(200, () => conclude(false))
    }

    function sendScript(): void {
      channel?.write(request.script, () => {
        isFlushed = true
      })
    }

    function onStdout(chunk: Buffer): void {
      const rest = outHead.take(chunk)
      if (rest === undefined || rest.length === 0 || stopping === 'too-much') return
      if (lines === undefined) {
        if (!stdout.add(rest)) stop('too-much')
        return
      }
      try {
        if (failure === undefined) lines.add(rest)
      } catch (thrown) {
        failure = thrown
        stop('aborted')
      }
    }

    function onStderr(chunk: Buffer): void {
      const rest = errHead.take(chunk)
      if (rest === undefined) {
        const seen = errHead.count(PROMPT)
        if (seen === prompts) return
        prompts = seen
        if (prompts > 1 || request.password === undefined) return settle({ kind: 'wrong-password' })
        channel?.write(`${request.password.reveal()}\n`)
        return
      }
      if (!isShellReady) {
        isShellReady = true
        if (!request.isSentAtOnce) sendScript()
      }
      stderr.add(rest)
    }

    if (request.signal?.aborted) return settle({ kind: 'aborted', isStopped: true, stdout: '', stderr: '' })
    request.signal?.addEventListener('abort', onAbort)
    client.on('close', onConnectionClose)
    after(request.deadlineMs, () => stop('timeout'))
    after(request.shellLimitMs, () => {
      const head = errHead.head()
      if (!isShellReady && stopping === undefined)
        settle({ kind: 'no-shell', stderr: head, isSudo: head.includes(VIA_SUDO), isStuck: true })
    })
    try {
      client.exec(request.command, (error, opened) => {
        if (error) {
          const isRefused = /Channel open failure/.test(error.message) && !isConnectionClosed
          return settle(
            isRefused ? { kind: 'channel-refused', cause: error } : { kind: 'lost', hasStarted: false, cause: error, ...output() },
          )
        }
        channel = opened
        opened.on('error', (cause: unknown) => conclude(false, cause))
        opened.on('data', onStdout)
        opened.stderr.on('data', onStderr)
        opened.on('exit', (exitCode: number | null, signalName?: string) => {
          code = exitCode ?? 128 + (signalNumber(signalName) ?? 0)
        })
        opened.on('close', () => conclude(true))
        if (isSettled) return opened.close()
        if (request.isSentAtOnce) sendScript()
      })
    } catch (cause) {
      settle({ kind: 'lost', hasStarted: false, cause, ...output() })
    }
  })
}

function signalNumber(name: string | undefined): number | undefined {
  return Object.entries(constants.signals).find(([key]) => key === name)?.[1]
}
