import { describe, expect, test } from 'vitest'
import { renderHaproxyCfg } from '../../../src/domain/haproxy/config.ts'
import { parseHaproxySections } from '../../../src/domain/haproxy/read.ts'
import type { InventoryHaproxy } from '../../../src/inventory/inventory.ts'

function linesOf(haproxy: InventoryHaproxy, kind: string): readonly string[] {
  return parseHaproxySections(renderHaproxyCfg(haproxy))
    .filter(s => s.kind === kind)
    .flatMap(s => s.lines.map(l => l.words.join(' ')))
}

const frontend = { name: 'web', bind: [':80'], default_backend: 'app' }
const server = { name: 'app-1', address: '192.0.2.111:8080' }

describe('haproxy.cfg', () => {
  test('ends with a line feed, without which haproxy refuses it', () => {
    expect(renderHaproxyCfg({ frontends: [frontend] }).endsWith('\n')).toBe(true)
  })

  test('gives each word of a backend its place', () => {
    const backend = {
      name: 'app',
      balance: 'leastconn',
      option: ['httpchk GET /health'],
      lines: ['timeout server 5s'],
      servers: [{ ...server, check: true, weight: 10, backup: true, options: ['inter 2s'] }],
    }
    expect(linesOf({ backends: [backend] }, 'backend')).toEqual([
      'mode http',
      'balance leastconn',
      'option httpchk GET /health',
      'timeout server 5s',
      'server app-1 192.0.2.111:8080 check weight 10 backup inter 2s',
    ])
  })

  test('gives a backend the mode of the frontend that sends to it', () => {
    const haproxy = { frontends: [{ ...frontend, mode: 'tcp' as const }], backends: [{ name: 'app', servers: [server] }] }
    expect(linesOf(haproxy, 'backend')).toContain('mode tcp')
    expect(linesOf(haproxy, 'frontend')).toContain('option tcplog')
  })

  test("takes the operator's line where both set the same thing", () => {
    const haproxy = { global: ['log 192.0.2.5 local2', 'maxconn 500'], defaults: ['timeout client 5m'], frontends: [frontend] }
    expect(linesOf(haproxy, 'global').filter(l => l.startsWith('log'))).toEqual(['log 192.0.2.5 local2'])
    expect(linesOf(haproxy, 'global')).toContain('maxconn 500')
    expect(linesOf(haproxy, 'defaults').filter(l => l.startsWith('timeout client'))).toEqual(['timeout client 5m'])
    expect(linesOf(haproxy, 'defaults')).toContain('timeout connect 5s')
  })

  test('has no global maxconn of its own: above the limit on open files haproxy would not start', () => {
    expect(linesOf({ frontends: [frontend] }, 'global').filter(l => l.startsWith('maxconn'))).toEqual([])
  })

  test.for(['a\nfrontend evil', 'a\rb', '', ' '])('refuses the line %j', line => {
    expect(() => renderHaproxyCfg({ frontends: [{ ...frontend, lines: [line] }] })).toThrow(/line of haproxy.cfg/)
    expect(() => renderHaproxyCfg({ global: [line] })).toThrow(/line of haproxy.cfg/)
  })
})
