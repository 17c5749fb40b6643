/**
 * Load through the virtual address, a process of its own that shares no line with hactl: new connections all the time, and connections
 * kept alive with request after request. argv: address, seconds until it ends by itself. Ends when its stdin does, then prints its counts.
 */
import { Agent, request } from 'node:http'
import { request as requestTls, type RequestOptions } from 'node:https'

const LIMIT_MS = 5_000
const NEW_EVERY_MS = 8
const TLS_EVERY_MS = 40
const KEPT = 16
const KEPT_PAUSE_MS = 15

const address = process.argv[2] ?? ''
const endMs = performance.now() + Number(process.argv[3] ?? 60) * 1000
const counts = { newAnswered: 0, newFailed: 0, tlsAnswered: 0, tlsFailed: 0, keptAnswered: 0, keptRetried: 0, keptCut: 0, keptFailed: 0 }
const errors = new Set<string>()

type Answer = 'answered' | { readonly error: string; readonly hasBegun: boolean; readonly wasReused: boolean }

function ask(options: RequestOptions, tls: boolean): Promise<Answer> {
  return new Promise(resolve => {
    let hasBegun = false
    const asking = (tls ? requestTls : request)({ host: address, path: '/', ...options }, response => {
      hasBegun = true
      response.resume()
      response.once('end', () => end(response.statusCode === 200 ? undefined : `HTTP ${response.statusCode}`))
      response.once('error', error => end(error.message))
    })
    const end = (error: string | undefined) => {
      clearTimeout(timer)
      resolve(error === undefined ? 'answered' : { error, hasBegun, wasReused: asking.reusedSocket })
    }
    const timer = setTimeout(() => {
      end('no answer within 5 s')
      asking.destroy()
    }, LIMIT_MS)
    asking.once('error', error => end(error.message))
    asking.end()
  })
}

let isStopped = false
const isOver = () => isStopped || performance.now() > endMs
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
process.stdin
  .once('end', () => {
    isStopped = true
  })
  .once('error', () => {
    isStopped = true
  })
  .resume()
process.stdout.once('error', () => process.exit())

async function newConnections(everyMs: number, options: RequestOptions, tls: boolean): Promise<void> {
  const open = new Set<Promise<void>>()
  const startMs = performance.now()
  for (let n = 0; !isOver(); n++) {
    const asked = ask({ agent: false, headers: { connection: 'close' }, ...options }, tls).then(answer => {
      const ok = answer === 'answered'
      if (!ok) errors.add(`new${tls ? ' with TLS' : ''}: ${answer.error}`)
      if (tls) counts[ok ? 'tlsAnswered' : 'tlsFailed']++
      else counts[ok ? 'newAnswered' : 'newFailed']++
    })
    open.add(asked)
    void asked.then(() => open.delete(asked))
    await pause(Math.max(0, startMs + (n + 1) * everyMs - performance.now()))
  }
  await Promise.all(open)
}

/** As a good client does it: a kept connection that was closed before any byte of the answer is no answer lost, the request is sent again. */
async function keptConnection(): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!isOver()) {
    const answer = await ask({ agent }, false)
    if (answer === 'answered') counts.keptAnswered++
    else if (answer.hasBegun) counts.keptCut++
    else if (answer.wasReused) {
      counts.keptRetried++
      const second = await ask({ agent: false }, false)
      if (second === 'answered') counts.keptAnswered++
      else {
        counts.keptFailed++
        errors.add(`kept, sent again: ${second.error}`)
      }
    } else {
      counts.keptFailed++
      errors.add(`kept, first request: ${answer.error}`)
    }
    await pause(KEPT_PAUSE_MS)
  }
  agent.destroy()
}

process.stdout.write('ready\n')
await Promise.all([
  newConnections(NEW_EVERY_MS, { port: 80 }, false),
  newConnections(TLS_EVERY_MS, { port: 443, rejectUnauthorized: false }, true),
  ...Array.from({ length: KEPT }, keptConnection),
])
process.stdout.write(`${JSON.stringify({ ...counts, errors: [...errors] })}\n`)
process.stdin.destroy()
