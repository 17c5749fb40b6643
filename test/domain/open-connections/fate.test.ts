import { expect, test } from 'vitest'
import { worstCaseOutage } from '../../../src/domain/vrrp/outage.ts'
import { classicWith, clusterWith } from '../example.ts'

const words = (cluster: ReturnType<typeof clusterWith>) =>
  Object.fromEntries(worstCaseOutage(cluster).map(({ event, openConnections }) => [event, openConnections]))

test('where open connections are kept, check says of each event what becomes of them', () => {
  expect(words(clusterWith({}, { stop_timeout: 90 }))).toEqual({
    'haproxy-stop': 'ended after 90 s',
    'haproxy-kill': 'reset within 3.5 s',
    'haproxy-hang': 'reset within 6 s',
    'keepalived-stop': 'kept',
    'server-dead': 'reset within 3.5 s',
  })
})

test('a stop of haproxy that waits for nothing cuts them', () => {
  expect(words(clusterWith({}, { stop_timeout: 0 }))).toMatchObject({ 'haproxy-stop': 'cut', 'keepalived-stop': 'kept' })
})

test.each([
  ['classic', classicWith()],
  ['reset', clusterWith({}, { open_connections: 'reset' })],
] as const)('%s cuts them in every event', (_, cluster) => {
  expect(new Set(Object.values(words(cluster)))).toEqual(new Set(['cut']))
})

test('nothing is kept where no server takes over', () => {
  const alone = clusterWith({}, { servers: [{ name: 'srv-1', host: '192.0.2.11' }] })
  expect(new Set(Object.values(words(alone)))).toEqual(new Set(['cut']))
})
