import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildCluster } from '../../../src/domain/cluster.ts'
import type { Cluster } from '../../../src/domain/cluster-types.ts'
import { renderMembers } from '../../../src/domain/members.ts'
import { nodeFactsFor, type ObservedForFacts } from '../../../src/domain/node-facts.ts'
import { renderOpenConnectionsRules } from '../../../src/domain/open-connections/rules.ts'
import { renderOpenConnectionsSettings } from '../../../src/domain/open-connections/service.ts'
import { OPEN_CONNECTIONS_SETTINGS } from '../../../src/domain/paths.ts'
import { Secret } from '../../../src/secret.ts'
import type { Inventory, InventoryInstance } from '../../../src/inventory/inventory.ts'
import { MEMBERS } from '../../../src/state/places.ts'
import type { ObservedFile } from '../../../src/state/observed.ts'
import { skipLacking } from '../../support/lacking.ts'
import { realProgram, verdictOf } from '../../support/real-programs.ts'
import { addresses, HAPROXY, inventoryWith, observed } from '../example.ts'

const V4: InventoryInstance = { name: 'web', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'] }
const V6: InventoryInstance = { name: 'web6', virtual_router_id: 66, virtual_ipaddress: ['2001:db8::200/64', '2001:db8::201/64'] }

function clusterOf(instances: readonly InventoryInstance[], bind: readonly string[] = [':80']): Cluster {
  const haproxy = { ...HAPROXY, frontends: [{ name: 'web', bind: [...bind], default_backend: 'app' }] }
  return buildCluster(inventoryWith({}, { vrrp_instances: [...instances], haproxy } as Partial<Inventory>), {
    authPass: () => new Secret('pass1234'),
  })
}

/** Three servers, each with an interface of another name. */
function factsOf(cluster: Cluster) {
  const seen = cluster.servers.map(
    ({ name }, i) => [name, observed(addresses(`eth${i} 192.0.2.1${i + 1}/24`, `eth${i} 2001:db8::1${i + 1}/64`))] as const,
  )
  return nodeFactsFor(cluster, Object.fromEntries(seen))
}

function rendered(cluster: Cluster, server = 'srv-2') {
  const facts = factsOf(cluster)[server]
  if (facts === undefined) throw new Error(`no server ${server}`)
  return {
    rules: renderOpenConnectionsRules(cluster, server, facts),
    settings: renderOpenConnectionsSettings(cluster, server, facts),
  }
}

/** The lines of one chain. */
function chain(rules: string, name: string): readonly string[] {
  const [, body] = rules.split(`\n  chain ${name} {\n`)
  if (body === undefined) throw new Error(`no chain ${name}`)
  return (body.split('\n  }')[0] ?? '').split('\n').map(line => line.trim())
}

const peersIn = (settings: string) => [...settings.matchAll(/^ {2}peer (.+)$/gm)].map(match => match[1])

describe('peers', () => {
  test.for([
    ['srv-1', ['srv-2 192.0.2.12 srv-2', 'srv-3 192.0.2.13 srv-3']],
    ['srv-2', ['srv-3 192.0.2.13 srv-3', 'srv-1 192.0.2.11 srv-1']],
    ['srv-3', ['srv-1 192.0.2.11 srv-1', 'srv-2 192.0.2.12 srv-2']],
  ] as const)('%s asks the next server by address first, round the ring', ([server, peers]) => {
    expect(peersIn(rendered(clusterOf([V4]), server).settings)).toEqual(peers)
  })

  test('of a list of addresses are the servers of the cluster among them, and not the server itself', () => {
    const { settings } = rendered(clusterOf([{ ...V4, unicast_peer: ['192.0.2.11', '192.0.2.12', '192.0.2.77'] }]))
    expect(peersIn(settings)).toEqual(['srv-1 192.0.2.11 srv-1'])
  })

  test('are known where adverts go to the group, too', () => {
    expect(peersIn(rendered(clusterOf([{ ...V4, unicast_peer: false }])).settings)).toEqual([
      'srv-3 192.0.2.13 srv-3',
      'srv-1 192.0.2.11 srv-1',
    ])
  })

  test('have names for sets of which no two are the same, and keep their own beside them', () => {
    const instances = ['A', 'A.b', 'A_b', 'A_b_2'].map((name, i) => ({
      ...V4,
      name,
      virtual_router_id: 66 + i,
      virtual_ipaddress: [`192.0.2.20${i}`],
    }))
    const { rules, settings } = rendered(clusterOf(instances))
    expect([...settings.matchAll(/^instance (.*)$/gm)].map(match => match[1])).toEqual(['A A', 'A_b A.b', 'A_b_2 A_b', 'A_b_2_2 A_b_2'])
    const sets = [...rules.matchAll(/^ {2}set (\S+) \{/gm)].map(match => match[1])
    expect(new Set(sets).size).toBe(sets.length)
  })

  test('with a link-local address are reached through the interface', () => {
    const cluster = clusterOf([V6])
    const seen = cluster.servers.map(({ name }, i) => [name, observed(addresses(`eth0 fe80::${i + 1}/64`))] as const)
    const named = { ...V6, interface: { 'srv-1': 'eth0', 'srv-2': 'eth0', 'srv-3': 'eth0' } }
    const facts = nodeFactsFor(clusterOf([named]), Object.fromEntries(seen))['srv-1']
    if (facts === undefined) throw new Error('no facts')
    expect(renderOpenConnectionsRules(clusterOf([named]), 'srv-1', facts)).toContain('dup to fe80::2 device "eth0" drop')
  })
})

describe('files do not depend on which servers were looked at', () => {
  const UNABLE = { ability: { kind: 'unable', why: 'its kernel is old' }, savedIn: [] } as const
  /** What a deploy of all three has left, where srv-3 can or cannot keep open connections; then that of those among `limit`. */
  const deployed = (cluster: Cluster, isThirdAble: boolean, limit: readonly string[], members = cluster) => {
    const all = cluster.servers.map(({ name }, i) => {
      const node = observed(addresses(`eth${i} 192.0.2.1${i + 1}/24`))
      return [name, name === 'srv-3' && !isThirdAble ? { ...node, openConnections: UNABLE } : node] as const
    })
    const render = (nodes: readonly (readonly [string, ObservedForFacts])[]) => {
      const facts = nodeFactsFor(cluster, Object.fromEntries(nodes))
      return Object.fromEntries(
        Object.entries(facts).map(([name, own]) => [
          name,
          { rules: renderOpenConnectionsRules(cluster, name, own), settings: renderOpenConnectionsSettings(cluster, name, own) },
        ]),
      )
    }
    const first = render(all)
    const withFiles = all.map(([name, node]) => {
      const content = (text = '') => ({ sha256: '', mode: '0644', owner: 'root', group: 'root', content: text }) as ObservedFile
      const files = { [OPEN_CONNECTIONS_SETTINGS]: content(first[name]?.settings), [MEMBERS]: content(renderMembers(members)) }
      return [name, { ...node, files }] as const
    })
    return { first, later: render(withFiles.filter(([name]) => limit.includes(name))) }
  }

  test.for([
    ['adverts to each server', undefined],
    ['adverts to the group', false],
  ] as const)('with %s', ([, unicast]) => {
    const cluster = clusterOf([{ ...V4, ...(unicast === undefined ? {} : { unicast_peer: unicast }) }])
    for (const isThirdAble of [true, false])
      for (const limit of [['srv-1'], ['srv-1', 'srv-2'], ['srv-2', 'srv-3'], ['srv-3']]) {
        const { first, later } = deployed(cluster, isThirdAble, limit)
        expect(later).toEqual(Object.fromEntries(limit.map(name => [name, first[name]])))
      }
  })

  test('except for a server that they do not know yet: it is taken for one that keeps its connections', () => {
    const cluster = clusterOf([V4])
    const { later } = deployed(cluster, false, ['srv-1'], { ...cluster, servers: cluster.servers.slice(0, 2) })
    expect(peersIn(later['srv-1']?.settings ?? '')).toEqual(['srv-2 192.0.2.12 srv-2', 'srv-3 192.0.2.13 srv-3'])
  })

  test.for([
    ['is none, or is of the other family', ['srv-2 "; drop srv-2', 'srv-3 2001:db8::13 srv-3'], []],
    ['lies outside the network of the interface', ['srv-2 192.0.3.12 srv-2', 'srv-3 192.0.2.13 srv-3'], ['srv-3 192.0.2.13 srv-3']],
  ] as const)('nor on a peer whose address %s', ([, peers, known]) => {
    expect(peersTold([peers])).toEqual(known)
  })

  test('nor on an address on which the files of two servers disagree', () => {
    const [two, three] = [['srv-3 192.0.2.13 srv-3'], ['srv-3 192.0.2.13 srv-3', 'srv-3 192.0.2.66 srv-3']]
    const own = 'srv-2 192.0.2.12 srv-2'
    expect(peersTold([two, two])).toEqual([own, ...two])
    expect(peersTold([two, three])).toEqual([own])
  })

  /** What srv-1 is told, where the files of so many servers have these peers and the others were not looked at. */
  function peersTold(files: readonly (readonly string[])[]): readonly (string | undefined)[] {
    const cluster = clusterOf([{ ...V4, unicast_peer: false }])
    const seen = files.map((peers, i) => {
      const settings = `instance web web\n${peers.map(peer => `  peer ${peer}\n`).join('')}`
      const node = observed(addresses(`eth0 192.0.2.1${i + 1}/24`))
      return [`srv-${i + 1}`, { ...node, files: { [OPEN_CONNECTIONS_SETTINGS]: { content: settings } as ObservedFile } }] as const
    })
    const facts = nodeFactsFor(cluster, Object.fromEntries(seen))['srv-1']
    if (facts === undefined) throw new Error('no facts')
    return peersIn(renderOpenConnectionsSettings(cluster, 'srv-1', facts))
  }
})

describe('rules', () => {
  test('send a packet on to those only who may know it and who receive such packets', () => {
    const { rules } = rendered(clusterOf([V4]))
    expect(chain(rules, 'to.web').slice(-4)).toEqual([
      'jump known',
      'meta protocol @may_know.web.srv-3 meta protocol @proven.web.srv-3 goto ask.web.srv-3',
      'meta protocol @may_know.web.srv-1 meta protocol @proven.web.srv-1 goto ask.web.srv-1',
      'accept',
    ])
  })

  test('let a packet go through as many servers as there are', () => {
    const { rules } = rendered(clusterOf([V4]))
    expect(chain(rules, 'ask.web.srv-3')[0]).toBe('ip ttl > 4 ip ttl set 4')
    expect(chain(rules, 'sent_on.web')).toContain('ip ttl <= 2 accept')
  })

  test('know a connection by its socket where haproxy listens on all addresses', () => {
    const { rules, settings } = rendered(clusterOf([V4], [':80', '127.0.0.1:9000']))
    expect(chain(rules, 'known')[0]).toBe('socket wildcard 0 accept')
    expect(settings).toContain('marks no\n')
    expect(rules).toContain('delete chain ip hactl paint')
  })

  test('know it by a mark where haproxy listens on an address by name, also on a range of ports', () => {
    const { rules, settings } = rendered(clusterOf([V4, V6], [':80', '192.0.2.200:443', '[2001:db8::200]:8000-8010']))
    expect(chain(rules, 'known').slice(0, 2)).toEqual([
      'socket mark & 0x40000000 == 0x40000000 accept',
      'tcp dport != { 443, 8000-8010 } socket wildcard 0 accept',
    ])
    expect(rules).toContain('ip6 daddr { 2001:db8::200, 2001:db8::201 } tcp dport { 443, 8000-8010 } meta mark set meta mark | 0x40000000')
    expect(settings).toContain('marks yes\n')
  })

  test("look for connections to haproxy's ports only: what is redirected to another has no socket at that moment", () => {
    expect(chain(rendered(clusterOf([V4], [':80', ':8000-8010'])).rules, 'to.web').slice(-7, -3)).toEqual([
      'tcp dport != { 80, 8000-8010 } accept',
      'tcp flags & (syn|ack) == syn accept',
      'tcp flags & (fin|syn|rst|urg|ecn|cwr) == 0x0 ip saddr . tcp sport . ip daddr . tcp dport @untold ip saddr . tcp sport . ip daddr . tcp dport != @told jump untold.web',
      'jump known',
    ])
  })

  test("count no connections but those to haproxy's ports, as far as they are known", () => {
    // Behind all instances: a program of before this word reads it as a word of the last one.
    expect(rendered(clusterOf([V4], [':80', ':8000-8010'])).settings).toMatch(/^instance [^]*\nports 80 8000-8010\n$/m)
    expect(rendered(clusterOf([V4], [':80', '"192.0.2.200:${PORT}"'])).settings).not.toContain('ports ')
  })

  test('look for connections to every port where haproxy.cfg does not say all of them', () => {
    expect(chain(rendered(clusterOf([V4], [':80', '"192.0.2.200:${PORT}"'])).rules, 'to.web').join('\n')).not.toMatch(/^tcp dport !=/m)
  })

  test('tell the probes of two instances apart that have one virtual router number on two networks', () => {
    const other: InventoryInstance = { ...V4, name: 'inside', virtual_ipaddress: ['198.51.100.200/24'] }
    const cluster = clusterOf([V4, other])
    const seen = cluster.servers.map(
      ({ name }, i) => [name, observed(addresses(`eth0 192.0.2.1${i + 1}/24`, `eth1 198.51.100.1${i + 1}/24`))] as const,
    )
    const facts = nodeFactsFor(cluster, Object.fromEntries(seen))['srv-1']
    if (facts === undefined) throw new Error('no facts')
    expect(chain(renderOpenConnectionsRules(cluster, 'srv-1', facts), 'announcement').slice(0, 2)).toEqual([
      'iifname "lo" @th,72,16 512 goto probe.web',
      'iifname "lo" @th,72,16 513 goto probe.inside',
    ])
  })

  test('are of one family each, also where both share a virtual router', () => {
    const { rules, settings } = rendered(clusterOf([V4, V6]))
    const [ip, ip6] = rules.split('\ntable ip6 hactl {\n  set').map(part => part)
    expect(ip).toContain('iifname "eth1" @th,64,8 66 goto heard.web\n')
    expect(ip6).toContain('iifname "eth1" @th,64,8 66 goto heard.web6\n')
    expect(ip).not.toContain('2001:db8')
    expect(settings).toMatch(/^instance web6 web6\n {2}family 6\n {2}vrid 66\n {2}interface eth1\n {2}address 2001:db8::12\n/m)
    expect(settings).toMatch(/^ {2}virtual 2001:db8::200\n {2}virtual 2001:db8::201\n/m)
  })
})

describe('nft', () => {
  const cases = {
    'one instance': clusterOf([V4]),
    'both families, several addresses, ports by name': clusterOf(
      [V4, V6],
      ['192.0.2.200:80', '[2001:db8::200]:8000-8010', '192.0.2.200:8005'],
    ),
    'names that nft does not know': clusterOf([
      { ...V4, name: '10%&a' },
      { ...V4, name: '10&%a', virtual_router_id: 9, virtual_ipaddress: ['192.0.2.201'] },
    ]),
  }

  // In a network namespace of its own: the rules of this machine are not touched.
  test.for(Object.entries(cases))('loads, loads again and lists the rules of %s', ([, cluster], context) => {
    const nft = realProgram('nft', context)
    if (verdictOf('unshare', '-rn', nft, 'list', 'ruleset').code !== 0)
      skipLacking(context, 'this user cannot make a network namespace with a packet filter: nft is not asked for its verdict on the rules')
    const folder = mkdtempSync(join(tmpdir(), 'hactl-rules-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'open-connections.nft')
    writeFileSync(file, rendered(cluster).rules)
    const verdict = verdictOf('unshare', '-rn', 'sh', '-c', '"$1" -f "$2" && "$1" -f "$2" && "$1" list ruleset', 'sh', nft, file)
    expect(verdict).toMatchObject({ code: 0 })
    expect(verdict.output.match(/goto ask\./g)?.length).toBe(rendered(cluster).rules.match(/goto ask\./g)?.length)
  })
})
