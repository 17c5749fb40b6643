import { describe, expect, test } from 'vitest'
import { HactlError } from '../../src/errors.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { isAtLeast, NEWEST_KEEPALIVED } from '../../src/domain/version.ts'
import { addresses, clusterWith, factsOf, observed } from './example.ts'

function errorOf(run: () => unknown): HactlError {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof HactlError) return thrown
  }
  throw new Error('nothing was refused')
}

/** Three servers, each with these lines; %n is its number. */
function factsWith(cluster: Cluster, ...lines: readonly string[]) {
  return nodeFactsFor(
    cluster,
    Object.fromEntries(cluster.servers.map((s, i) => [s.name, observed(addresses(...lines.map(l => l.replaceAll('%n', String(i + 1)))))])),
  )
}

describe('the interface', () => {
  test("is the one with an address in the virtual address's subnet, whatever host: names", () => {
    const facts = factsWith(clusterWith({ virtual_ipaddress: ['198.51.100.200/24'] }), 'eth0 192.0.2.1%n/24', 'eth1 198.51.100.1%n/24')
    expect(facts['srv-2']?.interface).toEqual({ VRRP1: 'eth1' })
    expect(facts['srv-2']?.srcIp).toEqual({ VRRP1: { 'srv-1': '198.51.100.11', 'srv-2': '198.51.100.12', 'srv-3': '198.51.100.13' } })
  })

  test('of a virtual address without a prefix is found by the on-link subnet, the narrowest first', () => {
    const facts = factsWith(clusterWith({ virtual_ipaddress: ['192.0.2.200'] }), 'eth0 192.0.0.1%n/16', 'eth1 192.0.2.1%n/24')
    expect(facts['srv-1']?.interface).toEqual({ VRRP1: 'eth1' })
  })

  test('is never found by a virtual address that the server holds', () => {
    const cluster = clusterWith({ virtual_ipaddress: ['192.0.2.200/24'] })
    const facts = factsWith(cluster, 'eth0 192.0.2.200/24', 'eth0 192.0.2.1%n/24')
    expect(facts['srv-1']?.srcIp['VRRP1']).toEqual({ 'srv-1': '192.0.2.11', 'srv-2': '192.0.2.12', 'srv-3': '192.0.2.13' })
    expect(errorOf(() => factsWith(cluster, 'eth0 192.0.2.200/24', 'eth1 198.51.100.1%n/24')).code).toBe('E_NO_INTERFACE')
  })

  test('may be set, where it has an address of its own', () => {
    const facts = factsWith(clusterWith({ interface: 'eth1' }), 'eth0 192.0.2.1%n/24', 'eth1 192.0.2.2%n/24')
    expect(facts['srv-1']).toMatchObject({ interface: { VRRP1: 'eth1' }, srcIp: { VRRP1: { 'srv-1': '192.0.2.21' } } })
  })

  test('that does not exist is refused, with the existing ones and the key to set', () => {
    const error = errorOf(() => factsWith(clusterWith({ interface: { 'srv-2': 'ens160' } }), 'eth0 192.0.2.1%n/24'))
    expect(error).toMatchObject({ code: 'E_NO_INTERFACE', server: 'srv-2' })
    expect(error.message).toBe('srv-2: there is no interface ens160 with an address')
    expect(error.why.join()).toContain('eth0 192.0.2.12/24')
    expect(error.fix).toContain('interface: { srv-2: NAME }')
  })

  test('that cannot be found is refused', () => {
    const error = errorOf(() => factsWith(clusterWith(), 'eth0 198.51.100.1%n/24'))
    expect(error.message).toBe('srv-1: no interface has an address in the network of 192.0.2.200/24 (VRRP1)')
  })
})

describe('the source address', () => {
  test('prefers host where an interface has several', () => {
    const facts = factsWith(clusterWith(), 'eth0 192.0.2.9%n/24', 'eth0 192.0.2.1%n/24')
    expect(facts['srv-3']?.srcIp['VRRP1']?.['srv-3']).toBe('192.0.2.13')
  })

  test('of IPv6 is not the link-local one', () => {
    const facts = factsWith(clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] }), 'eth0 fe80::%n/64', 'eth0 2001:db8::1%n/64')
    expect(facts['srv-1']?.srcIp['VRRP1']?.['srv-1']).toBe('2001:db8::11')
  })

  test('may be set, and must be on the server', () => {
    const cluster = clusterWith({ unicast_src_ip: { 'srv-1': '192.0.2.91' } })
    expect(factsWith(cluster, 'eth0 192.0.2.1%n/24', 'eth0 192.0.2.9%n/24')['srv-2']?.srcIp['VRRP1']?.['srv-1']).toBe('192.0.2.91')
    expect(errorOf(() => factsWith(cluster, 'eth0 192.0.2.1%n/24')).message).toContain('unicast_src_ip 192.0.2.91 is on none')
  })
})

describe('a server that was not asked', () => {
  const some = (cluster: Cluster) => nodeFactsFor(cluster, { 'srv-1': observed(addresses('eth0 192.0.2.11/24')) })

  test('is a peer by its host, where that is an address of the network', () => {
    const facts = some(clusterWith())
    expect(Object.keys(facts)).toEqual(['srv-1'])
    expect(facts['srv-1']?.srcIp['VRRP1']).toEqual({ 'srv-1': '192.0.2.11', 'srv-2': '192.0.2.12', 'srv-3': '192.0.2.13' })
  })

  test('is refused where its host is a name', () => {
    const servers = [
      { name: 'srv-1', host: '192.0.2.11' },
      { name: 'srv-2', host: 'lb2.example.com' },
    ]
    const error = errorOf(() => some(clusterWith({}, { servers })))
    expect(error).toMatchObject({ code: 'E_NO_INTERFACE', server: 'srv-2' })
    expect(error.fix).toContain('unicast_src_ip: { srv-2: ADDRESS }')
  })

  test('is not needed where adverts are multicast', () => {
    expect(
      some(
        clusterWith(
          { unicast_peer: false },
          {
            servers: [
              { name: 'srv-1', host: '192.0.2.11' },
              { name: 'srv-2', host: 'x.example.com' },
            ],
          },
        ),
      ),
    ).toHaveProperty('srv-1')
  })
})

test("keepalived's version is the installed one, without Debian's additions", () => {
  expect(factsOf(clusterWith(), '1:2.3.3-1')['srv-1']?.keepalivedVersion).toBe('2.3.3')
})

test('a release newer than the table, with empty package lists, counts as one with the newest keepalived', () => {
  const cluster = clusterWith()
  const node = observed(addresses('eth0 192.0.2.11/24'))
  const unknown = { ...node, facts: { ...node.facts, os: { ...node.facts.os, codename: 'stonking' } }, packages: {} }
  const facts = nodeFactsFor(cluster, { 'srv-1': unknown })['srv-1']
  // An interval of less than a second is refused for a keepalived that would ignore it, not for a release that nobody knew yet.
  expect(facts?.keepalivedVersion).toBe(NEWEST_KEEPALIVED)
  expect(isAtLeast(NEWEST_KEEPALIVED, '2.3.2')).toBe(true)
})
