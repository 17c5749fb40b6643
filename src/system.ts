/** The real clock, prober and local commands, over node: built-ins. No decisions are made here. */
import { spawn } from 'node:child_process'
import { connect, isIP, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { kill } from 'node:process'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import { HactlError } from './errors.ts'
import type { Clock, CutAnswer, LocalCommand, ProbeAnswer, Prober, ProbeTarget } from './ports.ts'

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

/**
 * How much of an answer a probe reads before it drops the connection. A page that is read to its end shows a cut, and leaves no "client aborted" in
 * the balancer's log. 55 probes a second read 1.8 MB/s at most from each address. The long-lived connections of a drill read whole answers.
 */
export const PROBE_READS_BYTES = 32 * 1024

/**
 * One new connection, one request, one answer. An HTTP answer with an expected status counts once it is whole or PROBE_READS_BYTES of it have come.
 * One that ends before is lost. One of which bytes still come at target.timeoutMs counts: it is slow and not cut.
 */
export const systemProber: Prober = async (target, signal) => {
  const startedAt = performance.now()
  const { address, port, path, host } = target
  // No value may end the request line or a header early.
  if (!/^[\x21-\x7E]+$/.test(path) || (host !== undefined && !/^[\x21-\x7E]+$/.test(host))) {
    return { ok: false, tookMs: 0, error: 'the path or host to ask holds spaces or control characters' }
  }
  const http = target.kind === 'tcp' ? undefined : await import('node:http')
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
    if (signal?.aborted === true) onAbort()
    let status: number | undefined
    let lastMs = startedAt
    const lost = (withoutAnswer: string, why: string) =>
      answer({
        ok: false,
        status,
        error: status === undefined ? withoutAnswer : (`the answer was cut: ${why}` satisfies `${CutAnswer}: ${string}`),
      })
    const onOverdue = () => {
      const isComing = performance.now() - lastMs < target.timeoutMs / 2
      if (status !== undefined && isComing) answer({ ok: true, status })
      lost(`no answer in ${target.timeoutMs} ms`, `only a part of it in ${target.timeoutMs} ms`)
      socket.destroy()
    }
    // It also bounds how long the other side may take to close after the verdict. node runs timers before it reads: where the controller stood still,
    // what has come meanwhile is read first.
    const timer = setTimeout(() => setImmediate(onOverdue), target.timeoutMs)
    const closed = () => lost('closed without an answer', 'closed before its end')
    socket.once('close', () => {
      clearTimeout(timer)
      closed()
    })
    if (http === undefined) {
      socket.on('error', error => answer({ ok: false, error: wordFor(error) }))
      socket.once('connect', () => {
        answer({ ok: true })
        socket.end()
        socket.resume()
      })
      return
    }
    const request = http.request({
      createConnection: () => socket,
      path,
      headers: { Host: authorityOf(target), 'User-Agent': 'hactl', Accept: '*/*', Connection: 'close' },
      maxHeaderSize: PROBE_READS_BYTES,
      // Whether the service answers is asked, not how well it knows HTTP.
      insecureHTTPParser: true,
    })
    request.on('error', error => {
      // What node says of a connection that ended in order.
      if (error.message === 'socket hang up') return closed()
      const word = wordFor(error)
      if (!word.startsWith('HPE_')) return lost(word, word)
      answer({ ok: false, status, error: WRONG_ANSWERS[word] ?? 'the answer is not HTTP that can be read' })
    })
    request.on('response', response => {
      status = response.statusCode ?? 0
      lastMs = performance.now()
      const verdict = judgeStatus(status, target.status)
      if (!verdict.ok) answer(verdict)
      response.on('data', () => {
        lastMs = performance.now()
        if (socket.bytesRead < PROBE_READS_BYTES) return
        answer(verdict)
        socket.destroy()
      })
      response.once('end', () => answer(verdict))
      response.on('error', closed)
    })
    request.end()
  })
}

/** Those of the errors of node's parser that say what is wrong. */
const WRONG_ANSWERS: Readonly<Record<string, string>> = {
  HPE_INVALID_CONSTANT: 'the answer is not HTTP',
  HPE_INVALID_VERSION: 'the answer is not HTTP',
  HPE_INVALID_CHUNK_SIZE: 'the answer has chunks without sizes',
  HPE_INVALID_CONTENT_LENGTH: 'the answer has a Content-Length that is not a number',
}

function wordFor(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}

function judgeStatus(status: number, expected: number | undefined): Omit<ProbeAnswer, 'tookMs'> {
  const ok = expected === undefined ? status < 500 : status === expected
  return ok ? { ok, status } : { ok, status, error: `HTTP ${status}` }
}

function authorityOf({ address, port, kind, host }: ProbeTarget): string {
  const name = host ?? (isIP(address) === 6 ? `[${address}]` : address)
  const isDefaultPort = port === (kind === 'https' ? 443 : 80)
  return isDefaultPort || host?.includes(':') === true ? name : `${name}:${port}`
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
