/** The load generator on servers that misbehave: what it calls answered, sent again, cut and failed. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { type Loaded, startLoad } from '../e2e/support/load.ts'

/** Lets the clients work on a server until it has had so many requests. */
async function loadOn(requests: number, listener: RequestListener, prepare?: (server: Server) => void): Promise<Loaded> {
  let seen = 0
  let enough: () => void = () => undefined
  const had = new Promise<void>(resolve => {
    enough = resolve
  })
  const server = createServer((request, response) => {
    listener(request, response)
    if (++seen === requests) enough()
  })
  prepare?.(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  try {
    const load = await startLoad(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await had
    return await load.stop()
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

const isKept = (headers: Readonly<Record<string, unknown>>) => headers['connection'] !== 'close'

test('every answer of a healthy server counts, on new and on kept connections', async () => {
  const seen = await loadOn(200, (_, response) => response.end('fine'))
  expect(seen).toMatchObject({ newFailed: 0, newCut: 0, keptRetried: 0, keptCut: 0, keptFailed: 0, errors: [] })
  expect(seen.newAnswered).toBeGreaterThan(20)
  expect(seen.keptAnswered).toBeGreaterThan(20)
})

test('a kept connection that is closed before the first byte of an answer loses no request: it is sent again', async () => {
  const served = new WeakSet()
  const seen = await loadOn(200, ({ headers, socket }, response) => {
    if (isKept(headers) && served.has(socket)) return void socket.destroy()
    served.add(socket)
    response.end('fine')
  })
  expect(seen).toMatchObject({ newFailed: 0, newCut: 0, keptCut: 0, keptFailed: 0, errors: [] })
  expect(seen.keptRetried).toBeGreaterThan(5)
})

test('a connection that is closed during the answer counts as cut, a new connection also before the answer', async () => {
  const seen = await loadOn(100, ({ headers, socket }, response) => {
    if (!isKept(headers)) return void socket.destroy()
    response.writeHead(200, { 'content-length': 100 })
    response.write('a beginning', () => socket.destroy())
  })
  expect(seen).toMatchObject({ newAnswered: 0, newFailed: 0, keptAnswered: 0, keptFailed: 0, keptRetried: 0 })
  expect(seen.newCut).toBeGreaterThan(5)
  expect(seen.keptCut).toBeGreaterThan(5)
})

test('an answer with an error status counts as failed', async () => {
  const seen = await loadOn(100, (_, response) => void response.writeHead(503).end())
  expect(seen).toMatchObject({ newAnswered: 0, newCut: 0, keptAnswered: 0, keptCut: 0, keptRetried: 0 })
  expect(seen.newFailed).toBeGreaterThan(5)
  expect(seen.errors).toEqual(expect.arrayContaining(['new, http, failed: HTTP 503', 'kept, http, failed: HTTP 503']))
})

test('every connection fails where nobody listens', async () => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  const load = await startLoad(`http://127.0.0.1:${port}/`)
  const seen = await load.stop()
  expect(seen).toMatchObject({ newAnswered: 0, newCut: 0, keptAnswered: 0, keptCut: 0, keptRetried: 0 })
  expect(seen.newFailed + seen.keptFailed).toBeGreaterThan(5)
})
