/** The real clock, prober and local commands, over node: built-ins. No decisions are made here. */
import { spawn } from 'node:child_process'
import { connect, isIP, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { kill } from 'node:process'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import { HactlError } from './errors.ts'
import type { Clock, LocalCommand, ProbeAnswer, Prober, ProbeTarget } from './ports.ts'

/** E_INTERRUPTED, for what stops because `signal` aborts. */
export function interrupted(signal: AbortSignal | undefined): HactlError {
  return new HactlError({ code: 'E_INTERRUPTED', what: 'hactl was interrupted', cause: signal?.reason })
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(interrupted(signal))
      const onAbort = () => {
        clearTimeout(timer)
        reject(interrupted(signal))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}

const MAX_OUTPUT_BYTES = 1024 * 1024

/**
 * Resolves with any exit code: 127 where the program is missing, 124 after the deadline, as a shell and timeout(1) do. The deadline also
 * ends every process that the command has started: `sh -c "a | b"` is three processes, and any of them keeps the pipes open. The command
 * therefore leads a process group of its own, gets no Ctrl+C from the terminal and cannot ask there. Rejects with E_INTERRUPTED when
 * `signal` aborts.
 */
export function runLocalCommand(
  [file = '', ...args]: readonly string[],
  { timeoutMs, stdin, signal }: Parameters<LocalCommand>[1] & { readonly signal?: AbortSignal },
): ReturnType<LocalCommand> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(interrupted(signal))
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    let isOver = false
    const killGroup = () => {
      try {
        // undefined where the command never started.
        if (child.pid !== undefined) kill(-child.pid, 'SIGKILL')
      } catch {
        // The process has ended already.
      }
    }
    const timer = setTimeout(() => {
      isOver = true
      killGroup()
    }, timeoutMs)
    signal?.addEventListener('abort', killGroup, { once: true })
    const finish = (result: Awaited<ReturnType<LocalCommand>>) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', killGroup)
      if (signal?.aborted === true) reject(interrupted(signal))
      else resolve(result)
    }
    const collect = (stream: NodeJS.ReadableStream) => {
      const chunks: Buffer[] = []
      let size = 0
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= MAX_OUTPUT_BYTES) chunks.push(chunk)
      })
      return () => Buffer.concat(chunks).toString('utf8')
    }
    const stdout = collect(child.stdout)
    const stderr = collect(child.stderr)
    child.on('error', error => {
      const code = isMissing(error) ? 127 : 126
      finish({ code, stdout: '', stderr: error.message })
    })
    // A command need not read its stdin.
    child.stdin.on('error', () => {})
    child.stdin.end(stdin ?? '')
    child.on('close', code => finish({ code: isOver ? TIMED_OUT : (code ?? KILLED), stdout: stdout(), stderr: stderr() }))
  })
}

/** As timeout(1) has it. */
const TIMED_OUT = 124
/** Ended by a signal that was not ours. */
const KILLED = 128

// How much of a body is read before the connection is dropped: enough for small answers to end in order, which keeps
// "client aborted" out of the balancer's log.
const MAX_BODY_BYTES = 64 * 1024
const MAX_STATUS_LINE_BYTES = 1024

/** One new connection, one request, one answer; raw sockets because a drill asks 50 times a second and more. */
export const systemProber: Prober = async (target, signal) => {
  const startedAt = performance.now()
  const { address, port, path, host } = target
  // No value may end the request line or a header early.
  if (!/^[\x21-\x7E]+$/.test(path) || (host !== undefined && !/^[\x21-\x7E]+$/.test(host))) {
    return { ok: false, tookMs: 0, error: 'the path or host to ask holds spaces or control characters' }
  }
  if (signal?.aborted === true) return { ok: false, tookMs: 0, error: 'interrupted' }
  const socket = target.kind === 'https' ? await connectTls(target) : connect({ host: address, port, noDelay: true })
  return new Promise(resolve => {
    let answered = false
    const answer = (verdict: Omit<ProbeAnswer, 'tookMs'>) => {
      if (answered) return
      answered = true
      signal?.removeEventListener('abort', onAbort)
      resolve({ ...verdict, tookMs: performance.now() - startedAt })
      if (!verdict.ok) socket.destroy()
    }
    const onAbort = () => answer({ ok: false, error: 'interrupted' })
    signal?.addEventListener('abort', onAbort, { once: true })
    // It also bounds how long the body may take after the verdict.
    const timer = setTimeout(() => {
      answer({ ok: false, error: `no answer in ${target.timeoutMs} ms` })
      socket.destroy()
    }, target.timeoutMs)
    socket.on('close', () => {
      clearTimeout(timer)
      answer({ ok: false, error: 'closed without an answer' })
    })
    socket.on('error', error => answer({ ok: false, error: 'code' in error ? String(error.code) : error.message }))
    if (target.kind === 'tcp') {
      socket.once('connect', () => {
        answer({ ok: true })
        socket.end()
        socket.resume()
      })
      return
    }
    socket.once(target.kind === 'https' ? 'secureConnect' : 'connect', () => socket.write(requestFor(target)))
    readStatus(
      socket,
      error => answer({ ok: false, error }),
      status => answer(judgeStatus(status, target.status)),
    )
  })
}

function judgeStatus(status: number, expected: number | undefined): Omit<ProbeAnswer, 'tookMs'> {
  const ok = expected === undefined ? status < 500 : status === expected
  return ok ? { ok, status } : { ok, status, error: `HTTP ${status}` }
}

function readStatus(socket: Socket, fail: (error: string) => void, found: (status: number) => void): void {
  let head: Buffer = Buffer.alloc(0)
  let seen: number | undefined
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) socket.destroy()
    if (seen !== undefined) return
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\n')
    if (end < 0 && head.length < MAX_STATUS_LINE_BYTES) return
    const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(head.toString('latin1', 0, MAX_STATUS_LINE_BYTES))?.[1]
    if (status === undefined) return fail('the answer is not HTTP')
    seen = Number(status)
    found(seen)
  })
}

function requestFor({ address, port, kind, path, host }: ProbeTarget): string {
  const name = host ?? (isIP(address) === 6 ? `[${address}]` : address)
  const isDefaultPort = port === (kind === 'https' ? 443 : 80)
  const authority = isDefaultPort || host?.includes(':') === true ? name : `${name}:${port}`
  return `GET ${path} HTTP/1.1\r\nHost: ${authority}\r\nUser-Agent: hactl\r\nAccept: */*\r\nConnection: close\r\n\r\n`
}

let sharedContext: SecureContext | undefined

/** Loaded only where an https probe is asked for; one TLS context serves all probes, every handshake is full. */
async function connectTls({ address, port, host }: ProbeTarget): Promise<Socket> {
  const tls = await import('node:tls')
  sharedContext ??= tls.createSecureContext()
  const name = host?.replace(/:\d+$/, '')
  const options: ConnectionOptions = {
    host: address,
    port,
    secureContext: sharedContext,
    ALPNProtocols: ['http/1.1'],
    // A probe asks whether the service answers. A certificate that has expired is a fault, but not an outage.
    rejectUnauthorized: false,
    ...(name === undefined || isIP(name) !== 0 ? {} : { servername: name }),
  }
  const socket = tls.connect(options)
  socket.setNoDelay(true)
  return socket
}
