import { expect, test } from 'vitest'
import { buildCluster } from '../../../src/domain/cluster.ts'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import { carryFindings, carryLinksOf, type CarryReports, isAnyPacketLost } from '../../../src/domain/preflight/carry.ts'
import { Secret } from '../../../src/secret.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import type { ObservedOpenConnections } from '../../../src/state/open-connections.ts'
import type { CarryReport } from '../../../src/state/wire.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { classicWith, clusterWith, inventoryWith } from '../example.ts'

const NAMES = ['srv-1', 'srv-2', 'srv-3']
const ABLE: ObservedOpenConnections = { ability: { kind: 'able' }, savedIn: [] }
const RUNS: ObservedOpenConnections = {
  ...ABLE,
  service: { isRunning: true, isOutdated: false, hasRules: true, unarmed: [], windows: [], unproven: [] },
}
const seen = (server: string, openConnections = ABLE): ObservedNode => ({
  ...observeModel(modelServer(server, 10 + Number(server.slice(-1)))),
  openConnections,
})
const linksIn = (cluster: ReturnType<typeof clusterWith>, nodes: readonly ObservedNode[]) => {
  const facts = nodeFactsFor(cluster, Object.fromEntries(nodes.map(node => [node.server, node])))
  return Object.fromEntries(nodes.map(node => [node.server, carryLinksOf(cluster, node, nodes, facts)]))
}
const peersIn = (nodes: readonly ObservedNode[], cluster = clusterWith()) =>
  Object.values(linksIn(cluster, nodes)).map(links => links.flatMap(({ peers }) => peers.toSorted()))

test('each server sends to the others, on the interface of the address', () => {
  const nodes = NAMES.map(name => seen(name))
  expect(linksIn(clusterWith(), nodes)['srv-2']).toEqual([
    {
      interface: 'eth0',
      family: 4,
      address: '192.0.2.12',
      virtualAddress: '192.0.2.200',
      stranger: '192.0.2.1',
      port: 8945,
      peers: ['192.0.2.13', '192.0.2.11'],
    },
  ])
})

test('two instances on one network are one question', () => {
  const two = [1, 2].map(n => ({ name: `WEB${n}`, virtual_router_id: 60 + n, virtual_ipaddress: [`192.0.2.20${n}/24`] }))
  const cluster = buildCluster({ ...inventoryWith(), vrrp_instances: two }, { authPass: () => new Secret('pass1234') })
  expect(
    linksIn(
      cluster,
      NAMES.map(name => seen(name)),
    )['srv-1'],
  ).toHaveLength(1)
})

test.for<[string, readonly ObservedNode[], ReturnType<typeof clusterWith>, readonly (readonly string[])[]]>([
  ['a cluster that does not keep connections', NAMES.map(name => seen(name)), classicWith(), [[], [], []]],
  [
    'a server that cannot',
    [seen('srv-1'), seen('srv-2', { ability: { kind: 'unable', why: 'no' }, savedIn: [] }), seen('srv-3')],
    clusterWith(),
    [['192.0.2.13'], [], ['192.0.2.11']],
  ],
  [
    'servers whose services run, which prove it each second',
    [seen('srv-1', RUNS), seen('srv-2', RUNS), seen('srv-3')],
    clusterWith(),
    [['192.0.2.13'], ['192.0.2.13'], ['192.0.2.11', '192.0.2.12']],
  ],
  ['a server that was not looked at', [seen('srv-1'), seen('srv-2')], clusterWith(), [['192.0.2.12'], ['192.0.2.11']]],
])('not asked: %s', ([, nodes, cluster, expected]) => {
  expect(peersIn(nodes, cluster)).toEqual(expected)
})

/** What all three heard, where `second` is srv-2. */
function reportsWith(second: Partial<CarryReport>, others: Partial<CarryReport> = {}): CarryReports {
  const links = linksIn(
    clusterWith(),
    NAMES.map(name => seen(name)),
  )
  return new Map(
    NAMES.map(name => [
      name,
      (links[name] ?? []).map(link => ({ link, met: link.peers, carried: link.peers, ...(name === 'srv-2' ? second : others) })),
    ]),
  )
}
const told = (reports: CarryReports) => carryFindings(reports, address => `srv-${address.slice(-1)}`)

test('nothing is said where the packets arrive', () => {
  expect(told(reportsWith({}))).toEqual([])
  expect(isAnyPacketLost(reportsWith({}))).toBe(false)
})

test('a network that drops them is one line, which warns and says what the network must allow', () => {
  const reports = reportsWith({ carried: ['192.0.2.13'] })
  expect(isAnyPacketLost(reports)).toBe(true)
  const findings = told(reports)
  expect(findings).toMatchObject([
    {
      check: 'connections',
      server: 'srv-2',
      verdict: 'warning',
      found: "packets with a client's IPv4 address do not arrive from srv-1 on eth0: a planned move between them cuts open connections",
    },
  ])
  expect(findings[0]?.fix).toMatch(/port security off.*allowed_address_pairs.*not enough.*IP source guard.*open_connections: reset/)
})

test.for<[string, CarryReports, RegExp]>([
  ['a peer that could not send', reportsWith({ met: [], carried: [] }, { met: [] }), /srv-3 and srv-1 was not met on eth0/],
  ['no perl', new Map([['srv-2', [undefined]]]), /perl did not run/],
])('not known: %s', ([, reports, why]) => {
  expect(isAnyPacketLost(reports)).toBe(false)
  expect(told(reports)).toMatchObject([{ server: 'srv-2', verdict: 'unknown', found: expect.stringMatching(why) as unknown }])
})
