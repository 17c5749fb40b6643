/**
 * Clients that keep one connection each for as long as this runs, and ask for something on it again and again: a process of its own that shares
 * no code with hactl. argv: seconds until it ends by itself, connections per address, ms until a client without an answer has been left in silence
 * (longer than a busy machine needs), whether it ends "at-once" or asks "once-more" on each connection, addresses as HOST:PORT. It ends when its
 * stdin does, then prints what became of the connections (open.ts).
 */
import { connect } from 'node:net'

const PAUSE_MS = 200
const REQUEST = 'GET /health HTTP/1.1\r\nHost: open\r\n\r\n'

const [seconds = '60', clients = '1', limitMs = '8000', ending = 'at-once', ...addresses] = process.argv.slice(2)
const kept = new Set<string>()
/** Those that have not been answered, or lost, since stdin ended; undefined before. */
let awaited: Set<string> | undefined
const lost: { client: string; error: string; afterMs: number; atMs: number }[] = []
let slowestMs = 0

function client(name: string, host: string, port: number): Promise<void> {
  return new Promise(ready => {
    const socket = connect({ host, port, noDelay: true })
    let [sentMs, text, isLast] = [performance.now(), '', false]
    let next: NodeJS.Timeout | undefined
    let limit: NodeJS.Timeout | undefined
    const end = (error: string) => {
      if (!kept.delete(name)) return
      lost.push({ client: name, error, afterMs: Math.round(performance.now() - sentMs), atMs: Date.now() })
      clearTimeout(next)
      clearTimeout(limit)
      socket.destroy()
      settled(name)
      ready()
    }
    const ask = () => {
      ;[sentMs, text] = [performance.now(), '']
      isLast = awaited !== undefined
      socket.write(REQUEST)
      limit = setTimeout(() => end('silence'), Number(limitMs))
    }
    kept.add(name)
    socket.once('connect', ask)
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.on('close', () => end('closed'))
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      const [head, body] = text.split('\r\n\r\n')
      const length = Number(/^content-length: (\d+)/im.exec(head ?? '')?.[1] ?? Number.NaN)
      if (body === undefined || body.length < length) return
      if (!text.startsWith('HTTP/1.1 200')) return end(text.slice(0, 20))
      clearTimeout(limit)
      slowestMs = Math.max(slowestMs, performance.now() - sentMs)
      if (isLast) settled(name)
      next = setTimeout(ask, PAUSE_MS)
      ready()
    })
  })
}

function finish(): never {
  process.stdout.write(JSON.stringify({ kept: kept.size, lost, slowestMs: Math.round(slowestMs) }))
  process.exit()
}

function settled(name: string): void {
  if (awaited?.delete(name) === true && awaited.size === 0) finish()
}

const names = addresses.flatMap(address => Array.from({ length: Number(clients) }, (_, i) => ({ name: `${address} ${i}`, address })))
await Promise.all(
  names.map(({ name, address }) => {
    const at = address.lastIndexOf(':')
    return client(name, address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), Number(address.slice(at + 1)))
  }),
)
process.stdout.write('ready\n')

process.stdin
  .on('end', () => {
    awaited = new Set(kept)
    if (ending === 'at-once' || awaited.size === 0) finish()
  })
  .resume()
setTimeout(finish, Number(seconds) * 1000)
