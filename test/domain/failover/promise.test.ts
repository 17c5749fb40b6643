import { expect, test } from 'vitest'
import { keepsConnections } from '../../../src/domain/failover/promise.ts'

const KEEPS = { profile: 'fast', openConnections: 'keep' } as const
const ABLE = [{ server: 'srv-1', openConnections: { ability: { kind: 'able' } } }, { server: 'srv-2' }]
const UNABLE = [...ABLE, { server: 'srv-3', openConnections: { ability: { kind: 'unable' } } }]

test.for(['stop-haproxy', 'stop-keepalived', 'reload-haproxy-repeatedly', 'reboot'])('a planned %s cuts no open connection', word => {
  expect(keepsConnections(KEEPS, ABLE, word)).toBe(true)
})

test.for([
  ['a crash', KEEPS, ABLE, 'kill-haproxy'],
  ['a power failure', KEEPS, ABLE, 'kill-server'],
  ['open_connections: reset', { profile: 'fast', openConnections: 'reset' }, ABLE, 'stop-haproxy'],
  ['a cluster that says nothing of them', { profile: 'fast' }, ABLE, 'stop-haproxy'],
  ['profile classic', { profile: 'classic', openConnections: 'keep' }, ABLE, 'stop-haproxy'],
  ['a server that cannot keep them', KEEPS, UNABLE, 'stop-haproxy'],
] as const)('nothing is promised: %s', ([, cluster, nodes, word]) => {
  expect(keepsConnections(cluster, nodes, word)).toBe(false)
})
