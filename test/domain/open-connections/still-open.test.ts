import { expect, test } from 'vitest'
import { keptOn, stillOpenWords } from '../../../src/domain/open-connections/still-open.ts'
import type { OpenConnectionsService } from '../../../src/state/open-connections.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { clusterWith } from '../example.ts'

const RUNS: OpenConnectionsService = { isRunning: true, isOutdated: false, hasRules: true, unarmed: [], windows: [], unproven: [] }

const CONFIG = `
defaults
  mode tcp
frontend web
  bind :80
  bind :443
frontend admin
  bind 127.0.0.1:9000
listen passive-ftp
  bind 192.0.2.200:30000-30099
frontend elsewhere
  bind 192.0.2.99:30000-30099
backend app
  server app-1 192.0.2.111:80
`

const cluster = (() => {
  const made = clusterWith({ name: 'WEB' })
  return { ...made, haproxyConfig: { ...made.haproxyConfig, text: CONFIG } }
})()

const kept = (windows: OpenConnectionsService['windows']) => {
  const node = observeModel(modelServer('srv-1', 11))
  return keptOn(cluster, { ...node, openConnections: { ability: { kind: 'able' }, savedIn: [], service: { ...RUNS, windows } } }, [])
}

test('open connections are named after the frontends that took them, added up', () => {
  const windows = [
    { instance: 'WEB', port: 80, connections: 3 },
    { instance: 'WEB', port: 443, connections: 9 },
    { instance: 'WEB', port: 9000, connections: 1 },
    { instance: 'WEB', port: 30_050, connections: 2 },
  ]
  const found = kept(windows)
  const open = found.kind === 'counted' ? found.open : []
  expect(open.map(({ frontends }) => frontends)).toEqual([['web'], ['web'], [], ['passive-ftp']])
  expect(stillOpenWords(open)).toBe('15 connections are still open (web: 12, port 9000: 1, passive-ftp: 2)')
})

test('an instance that the inventory does not have any more has its ports, and any frontend on them', () => {
  const found = kept([{ instance: 'OLD', port: 30_000, connections: 1 }])
  const open = found.kind === 'counted' ? found.open : []
  expect(stillOpenWords(open)).toBe('1 connection is still open (passive-ftp or elsewhere: 1)')
})
