import { expect, test } from 'vitest'
import { buildCluster } from '../../../src/domain/cluster.ts'
import { desiredNode } from '../../../src/domain/desired.ts'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import { openConnectionsNotices, openConnectionsProblems } from '../../../src/domain/open-connections/report.ts'
import { openConnectionsNotes, removalWarnings } from '../../../src/domain/open-connections/still-open.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../../../src/domain/paths.ts'
import { connectionsFindings } from '../../../src/domain/preflight/connections.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import type { ObservedOpenConnections, OpenConnectionsService } from '../../../src/state/open-connections.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { classicWith, clusterWith, inventoryWith } from '../example.ts'

const RUNS: OpenConnectionsService = { isRunning: true, isOutdated: false, hasRules: true, unarmed: [], windows: [], unproven: [] }

/** srv-1 with the service deployed, and what a look saw of it. */
function seen(service: OpenConnectionsService | undefined, more: Partial<ObservedOpenConnections> = {}): ObservedNode {
  const server = modelServer('srv-1', 11)
  server.files.set(OPEN_CONNECTIONS_SCRIPT, { content: '', mode: '0755' })
  return {
    ...observeModel(server),
    openConnections: { ability: { kind: 'able' }, savedIn: [], ...(service === undefined ? {} : { service }), ...more },
  }
}

test('a service that runs with its rules is no problem', () => {
  expect(openConnectionsProblems(clusterWith(), seen(RUNS))).toEqual([])
  expect(openConnectionsProblems(clusterWith(), seen({ ...RUNS, isOutdated: true }))).toEqual([])
})

test.each([
  ['stopped', { ...RUNS, isRunning: false }, 'hactl-open-connections.service does not run'],
  ['without its rules', { ...RUNS, hasRules: false }, 'hactl-open-connections.service has not loaded its rules'],
  ['without what it prepares', { ...RUNS, unarmed: ['WEB'] }, 'hactl-open-connections.service could not prepare this server for WEB'],
  [
    'without that, and outdated',
    { ...RUNS, isOutdated: true, unarmed: ['WEB'] },
    'hactl-open-connections.service could not prepare this server for WEB',
  ],
] as const)('a service that is %s makes the server unhealthy', (_, service, why) => {
  const text = `${why}: a planned move cuts the open connections of this server (hactl deploy fixes it)`
  expect(openConnectionsProblems(clusterWith(), seen(service))).toEqual([text])
  expect(openConnectionsProblems(classicWith(), seen(service))).toEqual([])
})

test.each([false, true])('a service whose present rules are refused makes the server unhealthy, outdated: %s', isOutdated => {
  expect(openConnectionsProblems(clusterWith(), seen({ ...RUNS, isOutdated, refused: 'Error: Not supported' }))).toEqual([
    'hactl-open-connections.service works with older rules, its present ones are refused: Error: Not supported: a planned move may cut the open connections of this server (hactl deploy fixes it)',
  ])
})

test('connections that have not moved with their address are counted by port', () => {
  const windows = [
    { instance: 'WEB', port: 80, connections: 3 },
    { instance: 'WEB', port: 443, connections: 12 },
    { instance: 'MAIL', port: 25, connections: 1 },
  ]
  expect(openConnectionsNotes(clusterWith(), seen({ ...RUNS, windows }), [])).toEqual([
    'WEB: 15 connections are still open here (port 80: 3, port 443: 12)',
    'MAIL: 1 connection is still open here (port 25: 1)',
  ])
})

test('connections whose packets do not arrive any more, and ports without any, do not count as open', () => {
  const windows = [{ instance: 'VI_1', port: 80, connections: 3 }]
  const cluster = clusterWith({ name: 'VI_1' })
  const [vip] = cluster.instances[0]?.virtualAddresses ?? []
  const holder = { ...seen({ ...RUNS, unproven: [{ instance: 'VI_1', peer: 'srv-1' }] }), server: 'srv-2' }
  const addresses = [{ interface: 'eth0', address: vip?.address ?? '', family: 4, prefix: 24 } as const]
  const nodes = [seen({ ...RUNS, windows }), { ...holder, facts: { ...holder.facts, addresses } }]
  const notes = (node: ObservedNode, all: readonly ObservedNode[]) => openConnectionsNotes(cluster, node, all)
  expect(nodes.slice(0, 1).map(node => [notes(node, nodes), notes(node, [node])])).toEqual([
    [[], ['VI_1: 3 connections are still open here (port 80: 3)']],
  ])
  expect(notes(seen({ ...RUNS, windows: [{ instance: 'VI_1', port: 80, connections: 0 }] }), [])).toEqual([])
})

test('a plan that takes the service away says which connections end with it', () => {
  const node = seen({ ...RUNS, windows: [{ instance: 'WEB', port: 80, connections: 3 }] })
  const warned = 'srv-1: WEB: 3 connections are still open here (port 80: 3), and end when this is applied'
  expect(removalWarnings(clusterWith(), [node], (_, path) => path === OPEN_CONNECTIONS_SCRIPT)).toEqual([warned])
  expect(removalWarnings(clusterWith(), [node], () => false)).toEqual([])
})

test('a server that cannot keep them says so, and why; in the preflight it is a doubt and no failure', () => {
  const node = seen(undefined, { ability: { kind: 'unable', why: 'nftables is not installed' } })
  const text = 'a planned move cuts the open connections of this server: nftables is not installed'
  expect(openConnectionsNotes(clusterWith(), node, [node])).toEqual([text])
  expect(connectionsFindings(clusterWith(), node, [node])).toMatchObject([{ check: 'connections', verdict: 'warning', found: text }])
  expect(openConnectionsNotes(clusterWith({}, { open_connections: 'reset' }), node, [node])).toEqual([])
  expect(connectionsFindings(classicWith(), node, [node])).toEqual([])
})

test('a peer that gets no packets with the address of a client, and a saved table, are named with what fixes them', () => {
  const node = seen({ ...RUNS, unproven: [{ instance: 'WEB', peer: 'srv-2' }] }, { savedIn: ['/etc/nftables.conf'] })
  const peer = { ...seen(RUNS), server: 'srv-2' }
  const [unproven = '', saved = ''] = openConnectionsNotices(clusterWith(), node, [node, peer])
  expect(unproven).toBe("packets with a client's address do not reach srv-2 from here (WEB): a move between the two cuts open connections")
  expect(saved).toContain('/etc/nftables.conf contains the table hactl')
  // A peer that does not run the service, or was not seen, cannot prove anything.
  const stopped = { ...seen({ ...RUNS, hasRules: false }), server: 'srv-2' }
  for (const others of [[], [stopped]]) expect(openConnectionsNotices(clusterWith(), node, [node, ...others])).toEqual([saved])
  // One that has just started is not blamed for what it could not show yet.
  const fresh = (one: ObservedNode, service: OpenConnectionsService) => ({
    ...one,
    openConnections: { ability: { kind: 'able' }, savedIn: [], service: { ...service, isFresh: true } } as const,
  })
  const unreached = { ...RUNS, unproven: [{ instance: 'WEB', peer: 'srv-2' }] }
  expect(openConnectionsNotices(clusterWith(), fresh(node, unreached), [node, peer])).toEqual([])
  expect(openConnectionsNotices(clusterWith(), node, [node, fresh(peer, RUNS)])).toEqual([saved])
  expect(connectionsFindings(clusterWith(), node, [node, peer])).toMatchObject([
    { verdict: 'warning', found: unproven },
    { verdict: 'warning', found: saved, fix: expect.stringContaining('delete the blocks') as unknown },
  ])
  expect(connectionsFindings(clusterWith(), seen(RUNS), [])).toMatchObject([{ verdict: 'passed', found: 'kept over a move' }])
})

test('a server that only lacks nftables gets the package, but not from a folder that does not have it', () => {
  const node = { ...seen(undefined), openConnections: { ability: { kind: 'installable' }, savedIn: [] } as const }
  const idsOf = (cluster: ReturnType<typeof clusterWith>) => {
    const facts = nodeFactsFor(cluster, { 'srv-1': node })['srv-1']
    return facts === undefined ? [] : desiredNode(cluster, 'srv-1', facts).resources.map(({ id }) => id)
  }
  expect(idsOf(clusterWith())).toEqual(expect.arrayContaining(['package/nftables', 'open-connections/service']))
  expect(connectionsFindings(clusterWith(), node, [node])).toMatchObject([
    { verdict: 'passed', found: 'kept over a move; nftables will be installed' },
  ])
  const files = ['haproxy_2.6.12-1_amd64.deb', 'keepalived_1%3a2.2.7-1_amd64.deb']
  const cluster = buildCluster(inventoryWith(), { authPass: () => undefined, packageFolder: { folder: '/srv/debs', files } })
  expect(idsOf(cluster)).not.toContain('package/nftables')
  expect(openConnectionsNotes(cluster, node, [node])).toEqual([
    'a planned move cuts the open connections of this server: nftables is not installed, and /srv/debs has no nftables_*.deb',
  ])
})
