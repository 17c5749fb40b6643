// What the traffic asks: node backend-process.ts ADDRESS. Echoes lines on port 9000 ("small", "slow MS" and "big BYTES" answer once and close) and
// speaks HTTP on port 9001 (/slow?ms, /big?bytes, POST /up, an upgrade echoes). Prints "ready"; ends with its stdin.
import { createServer as createHttp } from 'node:http'
import { createServer } from 'node:net'
import type { Writable } from 'node:stream'

const MOST_BYTES = 1_000_000_000
const MOST_MS = 10_000
const BACKLOG = 4096
const BLOCK = Buffer.alloc(65_536, 'x')
const address = process.argv[2] ?? ''

function pump(into: Writable, bytes: number, done: () => void): void {
  let left = Math.min(bytes, MOST_BYTES)
  const go = () => {
    while (left > 0) {
      const size = Math.min(left, BLOCK.length)
      left -= size
      if (!into.write(size === BLOCK.length ? BLOCK : BLOCK.subarray(0, size))) {
        into.once('drain', go)
        return
      }
    }
    done()
  }
  go()
}

const lines = createServer({ noDelay: true }, socket => {
  let rest = ''
  socket.on('error', () => socket.destroy())
  socket.setEncoding('utf8').on('data', (text: string) => {
    const [last = '', ...whole] = (rest + text).split('\n').reverse()
    rest = last
    for (const line of whole.reverse()) {
      const [word, number] = line.split(' ')
      const end = () => socket.writable && socket.end('done\n')
      if (word === 'slow') setTimeout(end, Math.min(Number(number), MOST_MS))
      else if (word === 'small') end()
      else if (word === 'big') pump(socket, Number(number), end)
      else socket.write(`${line}\n`)
    }
  })
})

const web = createHttp((request, response) => {
  const url = new URL(request.url ?? '/', 'http://x')
  const number = (name: string) => Number(url.searchParams.get(name))
  const say = (text: string) => response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(text)
  if (url.pathname === '/slow') setTimeout(say, Math.min(number('ms'), MOST_MS), 'ok\n')
  else if (url.pathname === '/big') {
    response.writeHead(200, { 'content-length': number('bytes') })
    pump(response, number('bytes'), () => response.end())
  } else if (url.pathname === '/up') {
    let bytes = 0
    request.on('data', (chunk: Buffer) => (bytes += chunk.length))
    request.on('end', () => say(`${bytes} bytes\n`))
  } else say('ok\n')
})
web.keepAliveTimeout = 120_000
web.headersTimeout = 300_000
web.requestTimeout = 0
web.on('upgrade', (_request, socket) => {
  socket.on('error', () => socket.destroy())
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  socket.pipe(socket)
})

lines.listen(9000, address, BACKLOG, () => web.listen(9001, address, BACKLOG, () => process.stdout.write('ready\n')))
process.stdin.on('end', () => process.exit(0))
process.stdin.resume()
