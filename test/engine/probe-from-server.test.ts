/** The script that a server runs to ask an address, with the real perl. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { probeFromServer } from '../../src/engine/probe-from-server.ts'
import { skipLacking, unlessLacking } from '../support/lacking.ts'
import { localSession } from '../support/local-session.ts'

const lacks = spawnSync('perl', ['-MIO::Socket::IP', '-e', '1']).status === 0 ? undefined : 'this machine has no perl with IO::Socket::IP'
const hasV6 = Object.values(networkInterfaces()).some(addresses => addresses?.some(({ address }) => address === '::1'))

describe('a probe from a server', unlessLacking(lacks), () => {
  test.for([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]'],
  ] as const)('an address of either family is asked: %s', async ([address, name], context) => {
    if (address === '::1' && !hasV6) skipLacking(context, 'this machine has no IPv6')
    const hosts: (string | undefined)[] = []
    const server = createServer((request, response) => {
      hosts.push(request.headers.host)
      response.writeHead(request.url === '/ready' ? 202 : 404).end()
    }).listen(0, address)
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const target = { address, port, kind: 'http', path: '/ready', timeoutMs: 5000 } as const
      expect(await probeFromServer(localSession, { ...target, status: 202 })).toMatchObject({ ok: true, status: 202 })
      expect(await probeFromServer(localSession, { ...target, status: 200 })).toMatchObject({ ok: false, error: 'HTTP 202' })
      expect(hosts).toEqual([name, name])
    } finally {
      server.close()
    }
    expect(await probeFromServer(localSession, { address, port: 1, kind: 'tcp', path: '/', timeoutMs: 5000 })).toMatchObject({ ok: false })
  })
})
