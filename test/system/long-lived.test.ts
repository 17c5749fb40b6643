import type { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { ConnectionEnd, LongLivedUse, ProbeTarget } from '../../src/ports.ts'
import { systemConnectionKeeper } from '../../src/system/long-lived.ts'
import { endListening, http, tcp } from '../support/listening.ts'

afterEach(endListening)

interface Kept {
  readonly end: ConnectionEnd
  readonly opened: number
}

async function kept(
  port: number,
  use: LongLivedUse,
  over: Partial<ProbeTarget> = {},
  stop = new AbortController(),
  everyMs = 5,
): Promise<Kept> {
  let opened = 0
  const target: ProbeTarget = { address: '127.0.0.1', port, kind: 'http', path: '/', timeoutMs: 1000, ...over }
  const end = await systemConnectionKeeper(target, { use, stop: stop.signal, everyMs, onOpen: () => opened++ })
  return { end, opened }
}

const TELLS = [
  ['a reset', (socket: Socket) => void socket.resetAndDestroy(), 'RST'],
  ['an end', (socket: Socket) => void socket.destroy(), 'FIN'],
] as const

describe('a kept-alive client', () => {
  test('sends one request after the other until it is stopped', async () => {
    const stop = new AbortController()
    const ports = new Set<number | undefined>()
    let requests = 0
    const port = await http((request, response) => {
      ports.add(request.socket.remotePort)
      response.end('fine')
      if (++requests === 5) stop.abort()
    })
    expect(await kept(port, 'kept-alive', {}, stop)).toEqual({ end: { kind: 'stopped' }, opened: 1 })
    expect(ports.size).toBe(1)
  })

  /** A server that does something to a connection once it has the second request, before or after it answers. */
  const atSecond = (act: (socket: Socket) => void, isAnswered: boolean) => {
    let requests = 0
    return http((request, response) => {
      if (++requests === 1 || isAnswered) response.end('fine')
      if (requests === 1) return
      if (isAnswered) response.once('finish', () => setTimeout(act, 1, request.socket))
      // Longer than the first answer took: no crossing of request and end.
      else setTimeout(act, 50, request.socket)
    })
  }

  test.for(TELLS)('that meets %s in the middle of a request is cut', async ([, act, by]) => {
    const { end, opened } = await kept(await atSecond(act, false), 'kept-alive')
    expect(opened).toBe(1)
    expect(end).toMatchObject({ kind: 'cut', by })
  })

  test.for([
    ...TELLS.map(([what, act, by]) => [what, act, by, 'a length', { 'content-length': 200_000 }] as const),
    ...TELLS.map(([what, act, by]) => [what, act, by, 'chunks', {}] as const),
  ])('that meets %s in the middle of an answer of 200 kB is cut, whatever says where it ends: %4$s', async ([, act, by, , headers]) => {
    let requests = 0
    const port = await http((request, response) => {
      response.writeHead(200, headers)
      response.write(Buffer.alloc(100_000))
      if (++requests === 1) response.end(Buffer.alloc(100_000))
      else setTimeout(act, 50, request.socket)
    })
    const { end, opened } = await kept(port, 'kept-alive')
    expect(opened).toBe(1)
    expect(end).toMatchObject({ kind: 'cut', by })
  })

  test('that gets only a part of an answer is cut by silence', async () => {
    let requests = 0
    const port = await http((_, response) => {
      if (++requests === 1) response.end('fine')
      else response.writeHead(200, { 'content-length': 200_000 }).write(Buffer.alloc(100_000))
    })
    expect((await kept(port, 'kept-alive', { timeoutMs: 100 })).end).toMatchObject({ kind: 'cut', by: 'silence' })
  })

  test('that is closed between two requests lost nothing', async () => {
    // The next request comes long after the end: they do not cross.
    const { end } = await kept(await atSecond(socket => socket.end(), true), 'kept-alive', {}, new AbortController(), 200)
    expect(end.kind).toBe('closed')
  })

  test('that meets an end as soon as answers come lost nothing: request and end crossed', async () => {
    let requests = 0
    const port = await http((request, response) => {
      requests++
      if (requests === 1) response.end('fine')
      else if (requests === 2) setTimeout(() => response.end('fine'), 500)
      else setTimeout(() => request.socket.destroy(), 5)
    })
    expect((await kept(port, 'kept-alive')).end.kind).toBe('closed')
  })

  test('that is told of the end with an answer lost nothing', async () => {
    let requests = 0
    const port = await http((_, response) => void response.writeHead(200, ++requests === 3 ? { connection: 'close' } : {}).end())
    expect((await kept(port, 'kept-alive')).end).toEqual({ kind: 'closed', why: 'answered with Connection: close' })
  })

  test('that gets no answer is cut by silence', async () => {
    let requests = 0
    const port = await http((_, response) => {
      if (++requests === 1) response.end('fine')
      else setTimeout(() => response.end(), 200)
    })
    expect((await kept(port, 'kept-alive', { timeoutMs: 10 })).end).toMatchObject({ kind: 'cut', by: 'silence' })
  })

  test('is not kept where the service closes after each answer', async () => {
    const port = await http((_, response) => void response.writeHead(200, { connection: 'close' }).end())
    expect(await kept(port, 'kept-alive')).toEqual({ end: { kind: 'not-kept' }, opened: 0 })
  })
})

describe('an idle connection', () => {
  test.for(TELLS)('that meets %s is cut', async ([, act, by]) => {
    const port = await tcp(socket => setTimeout(act, 20, socket))
    expect(await kept(port, 'idle', { kind: 'tcp' })).toMatchObject({ end: { kind: 'cut', by }, opened: 1 })
  })

  test('ends by itself when it is stopped', async () => {
    const stop = new AbortController()
    const port = await tcp(() => void setTimeout(() => stop.abort(), 20))
    expect((await kept(port, 'idle', { kind: 'tcp' }, stop)).end).toEqual({ kind: 'stopped' })
  })
})

describe('a transfer', () => {
  const MANY = 20 * 1024 * 1024

  test('needs an answer that does not fit into buffers', async () => {
    expect(await kept(await http((_, response) => void response.end('short')), 'transfer')).toEqual({
      end: { kind: 'not-kept' },
      opened: 0,
    })
  })

  test.for(TELLS)('that meets %s is cut', async ([, act, by]) => {
    const port = await http((request, response) => {
      response.writeHead(200, { 'content-length': MANY })
      response.write(Buffer.alloc(1000))
      setTimeout(act, 50, request.socket)
    })
    expect(await kept(port, 'transfer')).toMatchObject({ end: { kind: 'cut', by }, opened: 1 })
  })

  test('ends by itself when it is stopped', async () => {
    const stop = new AbortController()
    const port = await http((_, response) => {
      response.writeHead(200, { 'content-length': MANY }).end(Buffer.alloc(MANY))
      setTimeout(() => stop.abort(), 20)
    })
    expect(await kept(port, 'transfer', {}, stop)).toEqual({ end: { kind: 'stopped' }, opened: 1 })
  })
})

test.for(['kept-alive', 'idle', 'transfer'] as const)(
  'a %s connection that cannot be opened is an error and does not count as cut',
  async use => {
    const port = await tcp(() => {})
    await endListening()
    await expect(kept(port, use)).rejects.toThrow(/ECONNREFUSED/)
  },
)
