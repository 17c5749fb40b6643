// Clients that keep their HTTP connections open: node clients-process.ts JSON, of Clients. Prints "ready" when each has had an answer.
// "ask MS" on stdin: each asks once more, evenly spread over so many ms; then a line of JSON, of Asked. Ends with its stdin.
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type Asked, type Clients, MOST_COUNT } from './clients.ts'

const ANSWER_LIMIT_MS = 15_000
const LIMIT_MS = 30 * 60_000
const STEP_MS = 20
/** Opened and not answered yet. More of them would fill haproxy's queue on a busy machine, which loses requests. */
const MOST_OPENING = 300

const { from, host, ports, perSecond, ...settings } = JSON.parse(process.argv[2] ?? '') as Clients
const count = Math.min(settings.count, MOST_COUNT)

/** What a client waits for. Its socket is undefined once the connection is gone. */
interface Client {
  socket: Socket | undefined
  isAnswered: boolean
  how: string
}

const clients: Client[] = []
let opening = 0

function open(at: number): void {
  const socket = connect({ host, port: ports[at % ports.length] ?? 0, localAddress: from })
  const client: Client = { socket, isAnswered: false, how: 'silence' }
  clients.push(client)
  opening += 1
  let isOpening = true
  const opened = () => {
    if (isOpening) opening -= 1
    isOpening = false
  }
  socket.setNoDelay(true)
  socket.on('connect', () => ask(client))
  socket.on('data', (chunk: Buffer) => {
    opened()
    if (chunk.toString('latin1', 0, 12) === 'HTTP/1.1 200') client.isAnswered = true
    else if (!client.isAnswered) client.how = 'another answer'
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!client.isAnswered) client.how = error.code ?? error.message
  })
  socket.on('close', () => {
    opened()
    if (client.how === 'silence') client.how = 'EOF'
    client.socket = undefined
  })
}

function ask(client: Client): void {
  if (client.socket === undefined) return
  client.isAnswered = false
  client.how = 'silence'
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
}

/** Does it for 0 to count - 1, evenly spread over so many ms, and waits until all are answered or have had the time for it. */
function spread(ms: number, what: (at: number) => void, done: (asked: Asked) => void): void {
  const began = performance.now()
  let at = 0
  let lastMs = began
  const step = setInterval(() => {
    for (const due = ((performance.now() - began) / ms) * count; at < count && at <= due && opening < MOST_OPENING; at++) what(at)
    if (at < count) lastMs = performance.now()
    else if (
      clients.every(({ socket, isAnswered }) => isAnswered || socket === undefined) ||
      performance.now() - lastMs > ANSWER_LIMIT_MS
    ) {
      clearInterval(step)
      done(result())
    }
  }, STEP_MS)
}

function result(): Asked {
  const lost: Record<string, number> = {}
  for (const { isAnswered, how } of clients) if (!isAnswered) lost[how] = (lost[how] ?? 0) + 1
  return { answered: clients.filter(({ isAnswered }) => isAnswered).length, lost }
}

const say = (line: string, then?: () => void) => process.stdout.write(`${line}\n`, then)
spread((count / perSecond) * 1000, open, asked => {
  if (asked.answered === count) say('ready')
  else say(`not all were answered: ${JSON.stringify(asked)}`, () => process.exit(1))
})
createInterface({ input: process.stdin })
  .on('line', line => {
    const [word, ms] = line.split(' ')
    // One that was closed while nobody asked was open no more, and has not been answered.
    for (const client of clients) client.isAnswered = false
    if (word === 'ask')
      spread(
        Number(ms),
        at => clients[at] !== undefined && ask(clients[at]),
        asked => say(JSON.stringify(asked)),
      )
  })
  .on('close', () => process.exit(0))
setTimeout(() => process.exit(1), LIMIT_MS)
