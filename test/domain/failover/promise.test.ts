import { expect, test } from 'vitest'
import { keepsConnections } from '../../../src/domain/failover/promise.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import type { ObservedOpenConnections, OpenConnectionsService } from '../../../src/state/open-connections.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { classicWith, clusterWith } from '../example.ts'

const RUNS: OpenConnectionsService = { isRunning: true, isOutdated: false, hasRules: true, unarmed: [], windows: [], unproven: [] }

function seen(name: string, more: Partial<ObservedOpenConnections> = {}): ObservedNode {
  return { ...observeModel(modelServer(name, 11)), openConnections: { ability: { kind: 'able' }, savedIn: [], service: RUNS, ...more } }
}

const KEEPS = clusterWith()
const ABLE = [seen('srv-1'), seen('srv-2')]

test.for(['stop-haproxy', 'restart-haproxy', 'stop-keepalived', 'reload-haproxy-repeatedly', 'reboot'])(
  'a planned %s cuts no open connection',
  word => {
    expect(keepsConnections(KEEPS, ABLE, word)).toBe(true)
  },
)

test.for([
  ['a crash', KEEPS, ABLE, 'kill-haproxy'],
  ['a power failure', KEEPS, ABLE, 'kill-server'],
  ['open_connections: reset', clusterWith({}, { open_connections: 'reset' }), ABLE, 'stop-haproxy'],
  ['profile classic', classicWith(), ABLE, 'stop-haproxy'],
  ['a server that cannot keep them', KEEPS, [...ABLE, seen('srv-3', { ability: { kind: 'unable', why: 'no nft' } })], 'stop-haproxy'],
  ['a server whose service does not run', KEEPS, [...ABLE, seen('srv-3', { service: { ...RUNS, isRunning: false } })], 'stop-haproxy'],
  [
    'a network that drops packets with a client address',
    KEEPS,
    [...ABLE, seen('srv-3', { service: { ...RUNS, unproven: [{ instance: 'VI_1', peer: 'srv-1' }] } })],
    'stop-haproxy',
  ],
] as const)('nothing is promised: %s', ([, cluster, nodes, word]) => {
  expect(keepsConnections(cluster, nodes, word)).toBe(false)
})

test.for(['stop-haproxy', 'restart-haproxy', 'reboot'])(
  '%s promises nothing where stop_timeout is over before the move is judged',
  word => {
    for (const seconds of [0, 2]) expect(keepsConnections(clusterWith({}, { stop_timeout: seconds }), ABLE, word)).toBe(false)
    expect(keepsConnections(clusterWith({}, { stop_timeout: 0 }), ABLE, 'stop-keepalived')).toBe(true)
  },
)
