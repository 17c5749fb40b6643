/**
 * The independent judge of an outage: a process of its own that asks the virtual address over a new connection every 20 ms and records the
 * times. It shares no code with hactl. argv: seconds until it ends by itself, URL, ms that an answer may take. It ends when its stdin
 * does, then prints all samples.
 */
import { request } from 'node:http'

const SPACING_MS = 20
const [seconds = '60', url = '', limit = '1000'] = process.argv.slice(2)
const endMs = performance.now() + Number(seconds) * 1000
const limitMs = Number(limit)

interface Asked {
  readonly sentMs: number
  readonly ok: boolean
  readonly tookMs: number
  readonly said: string
}

const samples: Asked[] = []
const open = new Set<Promise<void>>()

function ask(): Promise<void> {
  const sentMs = performance.now()
  return new Promise(resolve => {
    let isSettled = false
    const settle = (ok: boolean, said: string) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      samples.push({ sentMs: performance.timeOrigin + sentMs, ok, tookMs: performance.now() - sentMs, said })
      resolve()
      asking.destroy()
    }
    const asking = request(url, { agent: false, headers: { connection: 'close' } }, response => {
      response.resume()
      response.once('end', () => settle(response.statusCode === 200, String(response.headers['x-backend'] ?? response.statusCode)))
      response.once('error', error => settle(false, error.message))
    })
    const timer = setTimeout(() => settle(false, `no answer within ${limitMs / 1000} s`), limitMs)
    asking.once('error', error => settle(false, error.message))
    asking.end()
  })
}

let isStopped = false
const stop = () => {
  isStopped = true
}
process.stdin.once('end', stop).once('error', stop).resume()
// The reader of the result is gone.
process.stdout.once('error', () => process.exit())
process.stdout.write('ready\n')

const startMs = performance.now()
for (let n = 0; !isStopped && performance.now() < endMs; n++) {
  const asked = ask()
  open.add(asked)
  void asked.then(() => open.delete(asked))
  await new Promise(resolve => setTimeout(resolve, Math.max(0, startMs + (n + 1) * SPACING_MS - performance.now())))
}
await Promise.all(open)
process.stdout.write(`${JSON.stringify(samples.toSorted((a, b) => a.sentMs - b.sentMs))}\n`)
process.stdin.destroy()
