/**
 * A load generator: several clients at once, half of them with a new connection for every request, half with one that is kept open. It
 * shares no line with hactl. argv: URL, seconds until it ends by itself. Ends when its stdin does, then prints what it counted.
 */
import { Agent as PlainAgent, type ClientRequest, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { TLSSocket } from 'node:tls'

const CLIENTS_OF_EACH_KIND = 4
const PAUSE_MS = 10
// Longer than a busy machine keeps anybody waiting: what is not answered within it is lost.
const LIMIT_MS = 5000

const url = new URL(process.argv[2] ?? '')
const endMs = performance.now() + Number(process.argv[3] ?? 60) * 1000
const isTls = url.protocol === 'https:'

const counted = { requests: 0, keptOpen: 0, lost: [] as string[], cut: [] as string[], retries: 0, certificates: [] as string[] }

/** answered; lost: on a connection of its own; retry: a kept one was closed before any byte of the answer; cut: within the answer. */
type Outcome = { readonly kind: 'answered' | 'retry' } | { readonly kind: 'lost' | 'cut'; readonly why: string }

function ask(agent: PlainAgent | TlsAgent): Promise<Outcome> {
  return new Promise(resolve => {
    let isSettled = false
    const settle = (outcome: Outcome) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      resolve(outcome)
      if (outcome.kind !== 'answered') asking.destroy()
    }
    const fail = (why: string) => {
      if (hasBegun) settle({ kind: 'cut', why })
      else if (asking.reusedSocket) settle({ kind: 'retry' })
      else settle({ kind: 'lost', why })
    }
    let hasBegun = false
    const asking: ClientRequest = (isTls ? tlsRequest : plainRequest)(url, { agent, rejectUnauthorized: false }, response => {
      hasBegun = true
      response.resume()
      response.once('end', () =>
        settle(response.statusCode === 200 ? { kind: 'answered' } : { kind: 'lost', why: `HTTP ${response.statusCode}` }),
      )
      response.once('error', error => settle({ kind: 'cut', why: error.message }))
    })
    const timer = setTimeout(() => settle({ kind: 'lost', why: `no answer within ${LIMIT_MS / 1000} s` }), LIMIT_MS)
    asking.once('socket', own => {
      if (own instanceof TLSSocket && !asking.reusedSocket) own.once('secureConnect', () => noteCertificate(own))
    })
    asking.once('error', error => fail(error.message))
    asking.end()
  })
}

function noteCertificate(socket: TLSSocket): void {
  const { subject } = socket.getPeerCertificate()
  const name = String(subject?.CN ?? '')
  // A resumed session shows none.
  if (name !== '' && !counted.certificates.includes(name)) counted.certificates.push(name)
}

async function client(keepAlive: boolean): Promise<void> {
  const agent = isTls ? new TlsAgent({ keepAlive, maxSockets: 1 }) : new PlainAgent({ keepAlive, maxSockets: 1 })
  while (!isStopped && performance.now() < endMs) {
    const outcome = await ask(agent)
    counted.requests++
    if (keepAlive) counted.keptOpen++
    if (outcome.kind === 'retry') counted.retries++
    if (outcome.kind === 'lost' || outcome.kind === 'cut') counted[outcome.kind].push(outcome.why)
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
  agent.destroy()
}

let isStopped = false
const stop = () => {
  isStopped = true
}
process.stdin.once('end', stop).once('error', stop).resume()
// Whoever wanted to know is gone.
process.stdout.once('error', () => process.exit())
process.stdout.write('ready\n')
await Promise.all(Array.from({ length: 2 * CLIENTS_OF_EACH_KIND }, (_, index) => client(index % 2 === 0)))
process.stdout.write(`${JSON.stringify(counted)}\n`)
process.stdin.destroy()
