import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, describe, expect, test } from 'vitest'
import { connectionsOn } from '../../../src/engine/operations/open-connections.ts'
import type { Session } from '../../../src/ports.ts'
import { clusterWith, HAPROXY } from '../../domain/example.ts'
import { skipLacking, unlessLacking } from '../../support/lacking.ts'

const cleanups: (() => unknown)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** This machine. */
const here = {
  server: 'srv-1',
  run: script =>
    new Promise(resolve => {
      const child = execFile('/bin/sh', ['-c', script.raw], (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : (child.exitCode ?? 1), stdout, stderr, durationMs: 1 }),
      )
    }),
} as Partial<Session> as Session

/** A port of an address of this machine, with so many clients. */
async function portWith(clients: number, address: string): Promise<number> {
  const accepted: Socket[] = []
  const server: Server = createServer(socket => accepted.push(socket)).listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sockets = Array.from({ length: clients }, () => connect(port, address))
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  cleanups.push(() => {
    for (const socket of [...sockets, ...accepted]) socket.destroy()
    server.close()
  })
  return port
}

const boundTo = (...binds: readonly string[]) =>
  clusterWith({}, { haproxy: { ...HAPROXY, frontends: [{ name: 'web', bind: binds, mode: 'tcp', default_backend: 'app' }] } })
const count = (cluster: ReturnType<typeof clusterWith>, address: string) =>
  connectionsOn(here, cluster, address, new AbortController().signal)

const lacks = spawnSync('ss', ['-V']).status === 0 ? undefined : 'this machine has no ss'
const hasAddress = (address: string) => Object.values(networkInterfaces()).some(own => own?.some(one => one.address === address))

describe('open connections', unlessLacking(lacks), () => {
  test.for(['127.0.0.1', '::1'])("of %s: those of haproxy's clients are counted, and nobody else's", async (address, context) => {
    if (!hasAddress(address)) skipLacking(context, `this machine has no ${address}`)
    const [web, other] = [await portWith(3, address), await portWith(2, address)]
    expect(await count(boundTo(`:${web}`), address)).toBe(3)
    expect(await count(boundTo(`:${web}`, `:${other}-${other}`), address)).toBe(5)
    expect(await count(boundTo(':1'), address)).toBe(0)
  })

  test('where ss fails, nobody can count', async () => {
    expect(await count(boundTo(':80'), 'no address')).toBeUndefined()
  })
})
