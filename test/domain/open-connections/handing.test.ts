import { expect, test } from 'vitest'
import { carryOf, cuttingHandings, handingsAfter, staysOpen } from '../../../src/domain/open-connections/handing.ts'
import type { InventoryInstance } from '../../../src/inventory/inventory.ts'
import type { ObservedInstance } from '../../../src/state/instance.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import type { OpenConnectionsService } from '../../../src/state/open-connections.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { clusterWith } from '../example.ts'

const RUNS: OpenConnectionsService = { isRunning: true, isOutdated: false, hasRules: true, unarmed: [], windows: [], unproven: [] }
const UNPROVEN = [{ instance: 'WEB', peer: 'srv-1' }]

function seen(server: string, service: Partial<OpenConnectionsService> = {}): ObservedNode {
  return {
    ...observeModel(modelServer(server, 11)),
    openConnections: { ability: { kind: 'able' }, savedIn: [], service: { ...RUNS, ...service } },
  }
}

const without = (server: string): ObservedNode => ({ ...seen(server), openConnections: { ability: { kind: 'able' }, savedIn: [] } })

test.for([
  ['both services run', seen('srv-1'), seen('srv-2'), { kind: 'kept' }],
  ['files were written after they were loaded', seen('srv-1', { isOutdated: true }), seen('srv-2', { isOutdated: true }), { kind: 'kept' }],
  [
    'packets do not reach another server',
    seen('srv-1'),
    seen('srv-2', { unproven: [{ instance: 'WEB', peer: 'srv-3' }] }),
    { kind: 'kept' },
  ],
  ['they do not in another instance', seen('srv-1'), seen('srv-2', { unproven: [{ instance: 'DB', peer: 'srv-1' }] }), { kind: 'kept' }],
  ['the server that gives has stopped', seen('srv-1', { isRunning: false }), seen('srv-2'), { kind: 'cut', lacks: 'service' }],
  ['the server that takes has no rules', seen('srv-1'), seen('srv-2', { hasRules: false }), { kind: 'cut', lacks: 'service' }],
  ['the server that takes has no service', seen('srv-1'), without('srv-2'), { kind: 'cut', lacks: 'service' }],
  ['packets do not arrive', seen('srv-1'), seen('srv-2', { unproven: UNPROVEN }), { kind: 'cut', lacks: 'way' }],
  ['they do not yet', seen('srv-1', { isFresh: true }), seen('srv-2', { unproven: UNPROVEN }), { kind: 'unknown' }],
  ['they cannot have yet', seen('srv-1'), seen('srv-2', { unproven: UNPROVEN, isFresh: true }), { kind: 'unknown' }],
] as const)('connections of a server that gives an address away: %s', ([, from, to, carry]) => {
  expect(carryOf('WEB', from, to)).toEqual(carry)
})

test('where it is open which server takes the address, all of them count for a promise, and one for what is left alone', () => {
  const nodes = [seen('srv-1'), seen('srv-2'), without('srv-3')]
  const handings = ['srv-2', 'srv-3'].map(to => ({ instance: 'WEB', from: 'srv-1', to }))
  const stays = (takers: 'all' | 'some', to = handings) =>
    staysOpen(nodes, to, { node: nodes[0] ?? seen('srv-1'), instance: 'WEB', takers })
  expect([stays('all'), stays('some')]).toEqual([false, true])
  expect([stays('all', handings.slice(1)), stays('some', handings.slice(1)), stays('all', [])]).toEqual([false, false, true])
  expect(cuttingHandings(clusterWith(), nodes, handings)).toEqual([
    'srv-3: hactl-open-connections.service is not there yet: a move to it cuts open connections',
  ])
})

test('other priorities move an address to the server that may take it and has the highest', () => {
  const vip = { interface: 'eth0', family: 4, address: '192.0.2.200', prefix: 24 } as const
  const holder = seen('srv-1')
  const nodes = [{ ...holder, facts: { ...holder.facts, addresses: [...holder.facts.addresses, vip] } }, seen('srv-2'), seen('srv-3')]
  const after = (priority: Record<string, number>, more: Partial<InventoryInstance> = {}, own: readonly ObservedNode[] = nodes) =>
    handingsAfter(clusterWith({ name: 'WEB', priority, ...more }), own)
  const swapped = { 'srv-1': 200, 'srv-2': 254, 'srv-3': 250 }
  expect(after(swapped)).toEqual([{ instance: 'WEB', from: 'srv-1', to: 'srv-2' }])
  expect(after({ 'srv-1': 254, 'srv-2': 200, 'srv-3': 190 })).toEqual([])
  expect(after(swapped, { nopreempt: true })).toEqual([])
  const down = (node: ObservedNode): ObservedNode => ({ ...node, instances: [{ name: 'WEB', state: 'FAULT' } as ObservedInstance] })
  expect(
    after(
      swapped,
      {},
      nodes.map(node => (node.server === 'srv-2' ? down(node) : node)),
    ),
  ).toEqual([{ instance: 'WEB', from: 'srv-1', to: 'srv-3' }])
})
