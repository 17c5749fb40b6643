/** The real clock, prober and local commands, over node: built-ins. No decisions are made here. */
import { spawn } from 'node:child_process'
import { connect, isIP, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { kill } from 'node:process'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import { HactlError } from './errors.ts'
import type { Clock, LocalCommand, ProbeAnswer, Prober, ProbeTarget } from './ports.ts'
import { NOT_BEGUN, readOn } from './system/http-answer.ts'

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
 * How much of an answer is read before the connection is dropped. A page that is read to its end shows a cut, and leaves no "client aborted" in
 * the balancer's log. 256 KiB is more than most pages have. At 55 probes a second it is 15 MB/s at most, so that a production network of 1 Gbit/s
 * has room for its users.
 */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * One new connection, one request, one answer; raw sockets because a drill asks 50 times a second and more. An HTTP answer with an expected
 * status counts once it is whole or MAX_ANSWER_BYTES of it have come. One that ends before is lost. One of which bytes still come at
 * target.timeoutMs counts: it is slow and not cut.
 */
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
    let seen = NOT_BEGUN
    let [bytes, lastMs] = [0, startedAt]
    const lost = (withoutAnswer: string, why: string) =>
      answer(
        seen.status === undefined
          ? { ok: false, error: withoutAnswer }
          : { ok: false, status: seen.status, error: `the answer was cut: ${why}` },
      )
    // It also bounds how long the other side may take to close after the verdict.
    const timer = setTimeout(() => {
      const isComing = performance.now() - lastMs < target.timeoutMs / 2
      if (seen.status !== undefined && isComing) answer({ ok: true, status: seen.status })
      lost(`no answer in ${target.timeoutMs} ms`, `only a part of it in ${target.timeoutMs} ms`)
      socket.destroy()
    }, target.timeoutMs)
    const onEnd = () => {
      if (seen.at === 'open body') answer({ ok: true, status: seen.status })
      lost('closed without an answer', 'closed before its end')
    }
    socket.on('end', onEnd)
    socket.on('close', () => {
      clearTimeout(timer)
      onEnd()
    })
    socket.on('error', error => {
      const why = 'code' in error ? String(error.code) : error.message
      lost(why, why)
    })
    if (target.kind === 'tcp') {
      socket.once('connect', () => {
        answer({ ok: true })
        socket.end()
        socket.resume()
      })
      return
    }
    socket.once(target.kind === 'https' ? 'secureConnect' : 'connect', () => socket.write(requestFor(target)))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      lastMs = performance.now()
      seen = readOn(seen, chunk)
      if (seen.at === 'wrong') answer({ ok: false, status: seen.status, error: seen.why })
      if (seen.status !== undefined) {
        const verdict = judgeStatus(seen.status, target.status)
        if (!verdict.ok || seen.at === 'end' || bytes >= MAX_ANSWER_BYTES) answer(verdict)
      }
      if (bytes >= MAX_ANSWER_BYTES) socket.destroy()
    })
  })
}

function judgeStatus(status: number, expected: number | undefined): Omit<ProbeAnswer, 'tookMs'> {
  const ok = expected === undefined ? status < 500 : status === expected
  return ok ? { ok, status } : { ok, status, error: `HTTP ${status}` }
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
