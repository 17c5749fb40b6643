import { expect, test } from 'vitest'
import { reporterFor } from '../../src/app/failover-report.ts'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { manualClock } from '../support/clock.ts'
import { fakePorts } from '../support/terminal.ts'

test("a run has its start and end, its cluster and its servers, and no person's name", async () => {
  const clock = manualClock()
  const ports = fakePorts({ clock })
  const cluster = { name: 'edge', servers: [{ name: 'srv-1', host: '192.0.2.11', rank: 0 }] } as unknown as Cluster
  const startedMs = clock.now()
  const reporter = reporterFor({ paths: ['/srv/a.json'], version: '1.2.3' }, cluster, [], ports, () => {})
  await clock.advance(5000)
  await reporter.conclude([])
  const run: unknown = JSON.parse(ports.files.written.get('/srv/a.json') ?? '')
  expect(run).toEqual({
    report: 1,
    hactl: '1.2.3',
    cluster: 'edge',
    servers: ['srv-1'],
    began_at: new Date(startedMs).toISOString(),
    ended_at: new Date(startedMs + 5000).toISOString(),
    exit: 0,
    max_outage_ms: null,
    problems: [],
    drills: [],
  })
})
