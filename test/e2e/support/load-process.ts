/**
 * A load generator, a process of its own that shares no code with hactl. For each URL it opens new connections at a steady rate, whatever
 * happens to earlier ones, and has clients that keep their connection for many requests. argv: seconds until it ends by itself, URLs. It
 * ends when its stdin does, then prints what it counted (load.ts).
 */
import { Agent, request, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import type { TLSSocket } from 'node:tls'

// Longer than a busy machine needs for an answer: a request without an answer by then is lost.
const LIMIT_MS = 5_000
// A TLS handshake costs a hundred times what a plain connection does, here and on the servers.
const NEW_EVERY_MS = { 'http:': 10, 'https:': 40 }
const KEPT_CLIENTS = { 'http:': 12, 'https:': 4 }
const KEPT_PAUSE_MS = 15
const CLOSED = new Set(['ECONNRESET', 'EPIPE'])

const [seconds = '60', ...urls] = process.argv.slice(2)
const endMs = performance.now() + Number(seconds) * 1000
const counts = { newAnswered: 0, newFailed: 0, newCut: 0, keptAnswered: 0, keptRetried: 0, keptCut: 0, keptFailed: 0 }
const errors = new Set<string>()
const certificates = new Set<string>()

type Scheme = keyof typeof NEW_EVERY_MS
type Answer =
  | 'answered'
  /** wasCut: the connection was open, and was closed; hadBegun: during the answer; wasReused: it had carried a request before. */
  | { readonly error: string; readonly wasCut: boolean; readonly hadBegun: boolean; readonly wasReused: boolean }

function schemeOf(url: URL): Scheme {
  return url.protocol === 'https:' ? 'https:' : 'http:'
}

function ask(url: URL, agent: Agent | false): Promise<Answer> {
  return new Promise(resolve => {
    let [isSettled, isConnected, hadBegun] = [false, false, false]
    const settle = (error?: NodeJS.ErrnoException) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      const wasCut = isConnected && CLOSED.has(error?.code ?? '')
      resolve(error === undefined ? 'answered' : { error: error.message, wasCut, hadBegun, wasReused: asking.reusedSocket })
      if (error !== undefined) asking.destroy()
    }
    const isTls = schemeOf(url) === 'https:'
    const options: RequestOptions & { readonly rejectUnauthorized: boolean } = { agent, rejectUnauthorized: false }
    if (agent === false) options.headers = { connection: 'close' }
    const asking = (isTls ? requestTls : request)(url, options, response => {
      hadBegun = true
      response.resume()
      response.once('end', () => settle(response.statusCode === 200 ? undefined : new Error(`HTTP ${response.statusCode}`)))
      response.once('error', settle)
    })
    const timer = setTimeout(() => settle(new Error(`no answer within ${LIMIT_MS / 1000} s`)), LIMIT_MS)
    asking.once('socket', socket => {
      isConnected = asking.reusedSocket
      if (isConnected) return
      socket.once('connect', () => {
        isConnected = true
      })
      if (isTls) socket.once('secureConnect', () => noteCertificate(socket as TLSSocket))
    })
    asking.once('error', settle)
    asking.end()
  })
}

function note(client: 'new' | 'kept', url: URL, { error, wasCut }: Exclude<Answer, 'answered'>): void {
  errors.add(`${client}, ${url.protocol.slice(0, -1)}, ${wasCut ? 'cut' : 'failed'}: ${error}`)
}

function noteCertificate(socket: TLSSocket): void {
  const name = String(socket.getPeerCertificate().subject?.CN ?? '')
  // A resumed session shows none.
  if (name !== '') certificates.add(name)
}

let isStopped = false
const stop = () => {
  isStopped = true
}
const isOver = () => isStopped || performance.now() > endMs
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function newConnections(url: URL): Promise<void> {
  const open = new Set<Promise<void>>()
  const startMs = performance.now()
  for (let n = 1; !isOver(); n++) {
    const asked = ask(url, false).then(answer => {
      if (answer === 'answered') counts.newAnswered++
      else {
        counts[answer.wasCut ? 'newCut' : 'newFailed']++
        note('new', url, answer)
      }
    })
    open.add(asked)
    void asked.then(() => open.delete(asked))
    await pause(Math.max(0, startMs + n * NEW_EVERY_MS[schemeOf(url)] - performance.now()))
  }
  await Promise.all(open)
}

async function keptConnection(url: URL): Promise<void> {
  const settings = { keepAlive: true, maxSockets: 1 }
  const agent = schemeOf(url) === 'https:' ? new TlsAgent(settings) : new Agent(settings)
  while (!isOver()) {
    let answer = await ask(url, agent)
    if (answer !== 'answered' && answer.wasReused && answer.wasCut && !answer.hadBegun) {
      counts.keptRetried++
      answer = await ask(url, false)
    }
    if (answer === 'answered') counts.keptAnswered++
    else {
      counts[answer.wasCut && answer.hadBegun ? 'keptCut' : 'keptFailed']++
      note('kept', url, answer)
    }
    await pause(KEPT_PAUSE_MS)
  }
  agent.destroy()
}

process.stdin.once('end', stop).once('error', stop).resume()
// The reader of the result is gone.
process.stdout.once('error', () => process.exit())
process.stdout.write('ready\n')
const asked = urls.map(text => new URL(text))
await Promise.all(
  asked.flatMap(url => [newConnections(url), ...Array.from({ length: KEPT_CLIENTS[schemeOf(url)] }, () => keptConnection(url))]),
)
process.stdout.write(`${JSON.stringify({ ...counts, errors: [...errors], certificates: [...certificates] })}\n`)
process.stdin.destroy()
