/** Long-lived connections of a drill, over node: built-ins: used until they end, and how they ended. No decisions on drills are made here. */
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { ConnectionEnd, ConnectionKeeper, ProbeTarget } from '../ports.ts'
import { systemClock } from '../system.ts'

type Options = Parameters<ConnectionKeeper>[1]

/** A client that is connected waits longer for its answer than a probe does: so many times as long. */
const PATIENT = 5
/** An idle connection asks so often whether the other side still knows it. Linux's own first question comes after two hours. */
const TCP_KEEPALIVE_MS = 1000
/** Time-outs of proxies in use begin at 30 s: an idle connection that is closed in order and is older than this met one. */
const IDLE_TIMEOUT_MS = 25_000
/** A shorter answer fits into the buffers between the two ends (Linux: up to 6 MiB and 4 MiB), and no move would be seen. */
const LEAST_TRANSFER_BYTES = 16 * 1024 * 1024
const TRANSFER_MS = 10_000
const PACE_MS = 50

export const systemConnectionKeeper: ConnectionKeeper = (target, options) => {
  const { use } = options
  if (use === 'idle') return keepIdle(target, options)
  if (target.kind === 'tcp') return Promise.reject(new Error(`a ${use} client needs HTTP`))
  return use === 'kept-alive' ? keepAlive(target, options) : transfer(target, options)
}

const cut = (by: 'RST' | 'FIN' | 'silence', why: string): ConnectionEnd => ({ kind: 'cut', by, why })
const CLOSED = 'closed by the other side'

/** What an error of a socket or of a request means. node makes an error of its own of a FIN, without a system call. */
function endOf(error: unknown): ConnectionEnd {
  if (error instanceof NoAnswer) return cut('silence', error.message)
  if (!(error instanceof Error)) return cut('FIN', String(error))
  const code = 'code' in error ? String(error.code) : error.message
  if (!('syscall' in error)) return cut('FIN', code === 'ECONNRESET' ? CLOSED : code)
  return code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' ? cut('silence', code) : cut('RST', code)
}

class NoAnswer extends Error {
  constructor(ms: number) {
    super(`no answer in ${ms} ms`)
  }
}

interface Answer {
  readonly socket: Socket
  readonly isKept: boolean
}

/** One request after the other over one connection. */
async function keepAlive(target: ProbeTarget, { stop, everyMs, onOpen }: Options): Promise<ConnectionEnd> {
  const { request, agent } = await requests(target)
  let slowestMs = 0
  let sentMs = 0
  let hasAnswered = false
  const ask = (limitMs: number) =>
    new Promise<Answer>((resolve, reject) => {
      sentMs = performance.now()
      hasAnswered = false
      const asking = request(answer => {
        hasAnswered = true
        const { socket } = answer
        answer.resume()
        answer.once('end', () => {
          slowestMs = Math.max(slowestMs, performance.now() - sentMs)
          resolve({ socket, isKept: answer.headers.connection?.toLowerCase() !== 'close' })
        })
        answer.once('error', reject)
      })
      const onAbort = () => asking.destroy(new NoAnswer(Math.round(performance.now() - sentMs)))
      stop.addEventListener('abort', onAbort, { once: true })
      asking.setTimeout(limitMs, () => asking.destroy(new NoAnswer(limitMs)))
      asking.once('error', reject)
      asking.once('close', () => stop.removeEventListener('abort', onAbort))
      asking.end()
    })
  try {
    const first = await ask(target.timeoutMs)
    if (!first.isKept) return { kind: 'not-kept' }
    onOpen()
    let idleEnd: ConnectionEnd | undefined
    first.socket.once('error', error => (idleEnd ??= endOf(error)))
    first.socket.once('close', () => (idleEnd ??= { kind: 'closed', why: CLOSED }))
    for (;;) {
      try {
        await systemClock.sleep(everyMs, stop)
      } catch {
        return idleEnd?.kind === 'cut' ? idleEnd : { kind: 'stopped' }
      }
      if (idleEnd !== undefined) return idleEnd
      let next: Answer
      try {
        next = await ask(target.timeoutMs * PATIENT)
      } catch (error) {
        const waitedMs = performance.now() - sentMs
        // The drill has ended its own connection while the answer was on its way.
        if (stop.aborted && error instanceof NoAnswer && waitedMs < target.timeoutMs) return { kind: 'stopped' }
        const end = endOf(error)
        // An end that comes as soon as answers do, and instead of one, crossed the request on its way. Clients of HTTP then ask again over a
        // new connection by themselves (RFC 9112, 9.3.1).
        const crossed = end.kind === 'cut' && end.by === 'FIN' && !hasAnswered && waitedMs <= slowestMs
        return crossed ? { kind: 'closed', why: CLOSED } : end
      }
      if (!next.isKept) return { kind: 'closed', why: 'answered with Connection: close' }
      if (next.socket !== first.socket) return idleEnd ?? { kind: 'closed', why: CLOSED }
    }
  } finally {
    agent.destroy()
  }
}

/** A connection over which nothing is sent but TCP's own question whether it is still known. */
function keepIdle({ address, port, timeoutMs }: ProbeTarget, { stop, onOpen }: Options): Promise<ConnectionEnd> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, timeout: timeoutMs, keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS })
    let openedMs: number | undefined
    const onAbort = () => {
      resolve({ kind: 'stopped' })
      socket.destroy()
    }
    stop.addEventListener('abort', onAbort, { once: true })
    socket.once('connect', () => {
      openedMs = performance.now()
      socket.setTimeout(0)
      onOpen()
    })
    socket.once('timeout', () => socket.destroy(new NoAnswer(timeoutMs)))
    socket.once('error', error => (openedMs === undefined ? reject(error) : resolve(endOf(error))))
    socket.once('close', () => {
      stop.removeEventListener('abort', onAbort)
      const isTimeout = performance.now() - (openedMs ?? 0) >= IDLE_TIMEOUT_MS
      resolve(isTimeout ? { kind: 'closed', why: `${CLOSED}: it was idle` } : cut('FIN', CLOSED))
    })
    socket.resume()
  })
}

/** One answer, read so slowly that it lasts TRANSFER_MS. */
async function transfer(target: ProbeTarget, { stop, onOpen }: Options): Promise<ConnectionEnd> {
  const { request, agent } = await requests(target)
  const limitMs = target.timeoutMs * PATIENT
  try {
    return await new Promise<ConnectionEnd>((resolve, reject) => {
      let answer: IncomingMessage | undefined
      const failed = (error: unknown) => (answer === undefined ? reject(error) : resolve(endOf(error)))
      const asking = request(coming => {
        const length = Number(coming.headers['content-length'] ?? 0)
        if (!(length >= LEAST_TRANSFER_BYTES) || coming.statusCode !== 200) {
          resolve({ kind: 'not-kept' })
          return
        }
        answer = coming
        onOpen()
        const began = performance.now()
        let [read, lastMs] = [0, began]
        const isAhead = () => read > ((performance.now() - began) * length) / TRANSFER_MS
        coming.on('data', (chunk: Buffer) => {
          read += chunk.length
          lastMs = performance.now()
          if (isAhead()) coming.pause()
        })
        const pace = setInterval(() => {
          if (!coming.isPaused() && performance.now() - lastMs > limitMs) asking.destroy(new NoAnswer(limitMs))
          if (coming.isPaused() && !isAhead()) {
            lastMs = performance.now()
            coming.resume()
          }
        }, PACE_MS)
        coming.once('end', () => resolve({ kind: 'closed', why: 'all of it was read' }))
        coming.once('error', failed)
        coming.once('close', () => clearInterval(pace))
      })
      stop.addEventListener('abort', () => resolve({ kind: 'stopped' }), { once: true })
      asking.setTimeout(limitMs, () => {
        if (answer === undefined) asking.destroy(new NoAnswer(limitMs))
      })
      asking.once('error', failed)
      asking.end()
    })
  } finally {
    agent.destroy()
  }
}

/** Requests over one connection that is kept; `agent.destroy` closes it. */
async function requests({ kind, address, port, path, host }: ProbeTarget): Promise<{
  readonly request: (onAnswer: (answer: IncomingMessage) => void) => ClientRequest
  readonly agent: Agent
}> {
  const http = await import(kind === 'https' ? 'node:https' : 'node:http')
  const name = host?.replace(/:\d+$/, '')
  const agent: Agent = new http.Agent({
    keepAlive: true,
    maxSockets: 1,
    rejectUnauthorized: false,
    ...(name === undefined || isIP(name) !== 0 ? {} : { servername: name }),
  })
  const headers = { 'user-agent': 'hactl', ...(host === undefined ? {} : { host }) }
  return { request: onAnswer => http.request({ agent, host: address, port, path, headers }, onAnswer), agent }
}
