import { expect, test } from 'vitest'
import { createLines } from '../../../src/cli/view/lines.ts'
import { createNdjson } from '../../../src/cli/view/ndjson.ts'
import type { EngineEvent } from '../../../src/engine/events.ts'

const sample = (atMs: number | undefined, holder: string, probesFailed = 0): EngineEvent => ({
  kind: 'drill-sample',
  drill: 'haproxy-stop',
  vip: '192.0.2.200',
  atMs,
  holds: { 'srv-1': holder === 'srv-1', 'srv-2': holder === 'srv-2', 'srv-3': undefined },
  probesOk: 50,
  probesFailed,
})

function lines(events: readonly EngineEvent[], verbose = false): string[] {
  const written: string[] = []
  const sink = createLines(line => written.push(line), verbose)
  for (const event of events) sink(event)
  return written
}

test('every line of a server begins with its name', () => {
  expect(
    lines([
      { kind: 'observed', server: 'srv-1', durationMs: 812, detail: 'Debian GNU/Linux 12' },
      { kind: 'action-done', server: 'srv-2', id: 'package/haproxy', title: 'install haproxy 2.6.12', durationMs: 8123 },
      {
        kind: 'action-failed',
        server: 'srv-3',
        id: 'package/haproxy',
        title: 'install haproxy 2.6.12',
        durationMs: 90,
        detail: 'E: no space\nleft',
      },
      { kind: 'warning', server: 'srv-1', text: 'its clock is 3 s late' },
    ]),
  ).toEqual([
    'srv-1: Debian GNU/Linux 12 (812 ms)',
    'srv-2: install haproxy 2.6.12: done in 8.12 s',
    'srv-3: install haproxy 2.6.12: failed after 90 ms: E: no space\n  left',
    'srv-1: warning: its clock is 3 s late',
  ])
})

test('a gate that waits says each reason once', () => {
  const waiting = (detail: string): EngineEvent => ({
    kind: 'gate-waiting',
    gate: 'vip-answers',
    title: 'the address answers',
    servers: ['srv-1'],
    detail,
  })
  expect(lines([waiting('nobody holds it'), waiting('nobody holds it'), waiting('refused')])).toEqual([
    'srv-1: wait: the address answers: nobody holds it',
    'srv-1: wait: the address answers: refused',
  ])
})

test('of many samples, those with a new holder and one a second are shown', () => {
  const samples = [sample(0, 'srv-1'), sample(20, 'srv-1'), sample(40, 'srv-2', 1), sample(60, 'srv-2', 1), sample(1040, 'srv-2', 1)]
  expect(lines(samples)).toEqual([
    'haproxy-stop: 192.0.2.200 on srv-1 after 0 ms, 0 of 50 probes lost',
    'haproxy-stop: 192.0.2.200 on srv-2 after 40 ms, 1 of 51 probes lost',
    'haproxy-stop: 192.0.2.200 on srv-2 after 1.04 s, 1 of 51 probes lost',
  ])
})

test('as JSON an event has its kind as event, snake_case keys, and null for what is unknown', () => {
  const written: unknown[] = []
  const sink = createNdjson(line => written.push(JSON.parse(line)))
  sink(sample(0, 'srv-1'))
  sink(sample(20, 'srv-1'))
  expect(written).toEqual([
    {
      event: 'drill-sample',
      drill: 'haproxy-stop',
      vip: '192.0.2.200',
      at_ms: 0,
      holds: { 'srv-1': true, 'srv-2': false, 'srv-3': null },
      probes_ok: 50,
      probes_failed: 0,
    },
  ])
})

test('the time before the disturbance is one line', () => {
  const written = lines([sample(undefined, 'srv-1'), sample(undefined, 'srv-1'), sample(0, 'srv-1')])
  expect(written).toEqual([
    'haproxy-stop: 192.0.2.200 on srv-1 before the disturbance, 0 of 50 probes lost',
    'haproxy-stop: 192.0.2.200 on srv-1 after 0 ms, 0 of 50 probes lost',
  ])
})

test('a wait for open connections is a line for each number that is left', () => {
  const gate = { gate: 'open-connections', title: 'its open connections end (at most 600 s)', servers: ['srv-1'] } as const
  const left = (detail: string): EngineEvent => ({ kind: 'gate-waiting', ...gate, detail })
  const twelve = left('12 connections are still open (web: 12)')
  expect(
    lines([twelve, twelve, left('1 connection is still open (web: 1)'), { kind: 'gate-passed', ...gate, durationMs: 65_000 }]),
  ).toEqual([
    'srv-1: wait: its open connections end (at most 600 s): 12 connections are still open (web: 12)',
    'srv-1: wait: its open connections end (at most 600 s): 1 connection is still open (web: 1)',
    'srv-1: its open connections end (at most 600 s): passed after 1 min 5 s',
  ])
})
