import { describe, expect, test } from 'vitest'
import { buildCluster, defaultPriority } from '../../src/domain/cluster.ts'
import { classicWith, clusterWith, inventoryWith } from './example.ts'

const noSecrets = { authPass: () => undefined }

describe('what the inventory leaves out', () => {
  test('classic is the article: VRRPv2, multicast, 100 99 98, the script every 2 s with weight 5', () => {
    const cluster = classicWith()
    expect(cluster.check).toEqual({ interval: 2, fall: 2, rise: 2, timeout: 2, weight: 5 })
    expect(cluster.instances[0]).toMatchObject({
      version: 2,
      advertIntMs: 1000,
      unicastPeers: 'none',
      settings: {},
      priority: { 'srv-1': 100, 'srv-2': 99, 'srv-3': 98 },
    })
  })

  test('fast is VRRPv3 to unicast peers with separated priorities, and a failed check is FAULT', () => {
    const cluster = clusterWith()
    expect(cluster.check).toEqual({ interval: 1, fall: 1, rise: 1, timeout: 1, weight: 0 })
    expect(cluster.instances[0]).toMatchObject({
      version: 3,
      advertIntMs: 200,
      unicastPeers: 'all',
      priority: { 'srv-1': 254, 'srv-2': 250, 'srv-3': 190 },
    })
  })

  test('fast keeps open connections and gives them 20 s at a stop; classic resets them', () => {
    expect(clusterWith()).toMatchObject({ openConnections: 'keep', stopTimeoutMs: 20_000 })
    expect(clusterWith({}, { open_connections: 'reset', stop_timeout: 0.5 })).toMatchObject({
      openConnections: 'reset',
      stopTimeoutMs: 500,
    })
    expect(classicWith()).toMatchObject({ openConnections: 'reset' })
  })

  test('any single value overrides the profile', () => {
    const cluster = clusterWith(
      { advert_int: 0.5, unicast_peer: false, garp_master_delay: 7 },
      { vrrp_script: { interval: 3, weight: 10 } },
    )
    expect(cluster.check).toEqual({ interval: 3, fall: 1, rise: 1, timeout: 3, weight: 10 })
    expect(cluster.instances[0]).toMatchObject({
      advertIntMs: 500,
      unicastPeers: 'none',
      settings: { garp_master_delay: 7, garp_master_refresh: 30 },
    })
  })

  test('version 2 in fast uses whole seconds, and IPv6 in classic is version 3', () => {
    expect(clusterWith({ version: 2 }).instances[0]).toMatchObject({ version: 2, advertIntMs: 1000 })
    expect(classicWith({ virtual_ipaddress: ['2001:db8::200/64'] }).instances[0]).toMatchObject({ version: 3, advertIntMs: 1000 })
  })

  test('localhost is written as an address, with the port apart', () => {
    expect(classicWith({}, { global_defs: { smtp_server: 'localhost 2525' } }).globalDefs).toMatchObject({
      smtpServer: '127.0.0.1',
      smtpPort: 2525,
    })
  })

  test('mail is sent where there are mail addresses, and not where smtp_alert says no', () => {
    const mail = { global_defs: { notification_email: ['name@example.com'] } }
    expect(classicWith().instances[0]?.smtpAlert).toBe(false)
    expect(classicWith({}, mail).instances[0]?.smtpAlert).toBe(true)
    expect(classicWith({ smtp_alert: false }, mail).instances[0]?.smtpAlert).toBe(false)
  })
})

describe('priorities', () => {
  test.for([2, 3, 4, 5, 6, 10, 20])('of %i servers in fast are distinct, fall with the rank and stay above 1', count => {
    const all = Array.from({ length: count }, (_, rank) => defaultPriority('fast', rank, count))
    expect(all.slice(0, 2)).toEqual([254, 250])
    expect(new Set(all).size).toBe(count)
    expect(all).toEqual(all.toSorted((a, b) => b - a))
    expect(Math.min(...all)).toBeGreaterThanOrEqual(2)
  })

  test("set for some servers only: the others get their rank's, or the next free number below", () => {
    expect(classicWith({ priority: { 'srv-1': 99 } }).instances[0]?.priority).toEqual({ 'srv-1': 99, 'srv-2': 98, 'srv-3': 97 })
    expect(classicWith({ priority: { 'srv-3': 150 } }).instances[0]?.priority).toEqual({ 'srv-1': 100, 'srv-2': 99, 'srv-3': 150 })
  })
})

describe('the probe', () => {
  const probeOf = (haproxyConfigText: string, probe = {}) =>
    buildCluster(inventoryWith({}, { haproxy: { config: 'haproxy.cfg' }, probe }), { ...noSecrets, haproxyConfigText }).probe

  test('asks the first bind that is not loopback, by HTTP where the mode is http', () => {
    const text = 'defaults\n mode http\nfrontend admin\n bind 127.0.0.1:8404\nfrontend web\n bind :80\n bind :443 ssl crt x\n'
    expect(probeOf(text)).toEqual({ port: 80, kind: 'http', path: '/', status: undefined, host: undefined })
  })

  test('asks by TLS where the bind is, and by TCP where the mode is tcp', () => {
    expect(probeOf('frontend web\n mode http\n bind :443 ssl crt x\n')).toMatchObject({ port: 443, kind: 'https' })
    expect(probeOf('listen db\n bind :5432\n')).toMatchObject({ port: 5432, kind: 'tcp' })
  })

  test('prefers what the inventory says to what it finds', () => {
    const text = 'frontend web\n mode http\n bind :80\nlisten db\n bind :5432\n'
    expect(probeOf(text, { port: 5432 })).toMatchObject({ port: 5432, kind: 'tcp' })
    expect(probeOf(text, { port: 8080, path: '/health', status: 200, tls: true })).toMatchObject({
      port: 8080,
      kind: 'https',
      path: '/health',
      status: 200,
    })
  })

  test('is refused where nothing listens to clients', () => {
    expect(() => probeOf('frontend admin\n bind 127.0.0.1:80\n')).toThrow(/no bind/)
  })
})

test("the operator's own haproxy.cfg is passed through untouched", () => {
  const text = 'listen db\r\n bind :5432   # as it is'
  const cluster = buildCluster(inventoryWith({}, { haproxy: { config: 'my.cfg' } }), {
    ...noSecrets,
    haproxyConfigText: text,
    haproxyConfigPath: '/x/my.cfg',
  })
  expect(cluster.haproxyConfig).toEqual({ text, verbatim: true, sourcePath: '/x/my.cfg' })
})
