import { describe, expect, test } from 'vitest'
import type { DrillCase } from '../../../src/domain/failover/verdict.ts'
import {
  baselineProblems,
  failbackIsSettled,
  moveIsJudged,
  nextToDisturb,
  secondFaults,
  takeoverIsSettled,
} from '../../../src/domain/failover/settled.ts'
import type { Mark, Sample } from '../../../src/state/drill.ts'

const VIP = '198.51.100.200'
const about: DrillCase = {
  drill: 'haproxy-stop',
  vip: VIP,
  from: 'srv-1',
  predicted: 'srv-2',
  expect: { taker: 'next', holders: 1, event: 'haproxy-stop' },
  maxOutageMs: 1000,
  goesHome: true,
  servers: ['srv-1', 'srv-2'],
}

/** Samples every 100 ms up to `untilMs`: who holds the address from when on, and when probes fail. */
function seen(
  untilMs: number,
  holds: Readonly<Record<string, readonly [number, number]>>,
  fails: readonly [number, number] = [0, 0],
): Sample[] {
  const samples: Sample[] = []
  for (let atMs = 0; atMs <= untilMs; atMs += 100) {
    const ok = !(atMs >= fails[0] && atMs < fails[1])
    samples.push({ kind: 'probe', from: 'controller', sentMs: atMs, tookMs: 1, ok, ...(ok ? {} : { error: 'ECONNREFUSED' }) })
    for (const server of about.servers) {
      const [from, to] = holds[server] ?? [1, 0]
      samples.push({ kind: 'holder', server, atMs, reachable: true, holds: atMs >= from && atMs < to ? [VIP] : [], units: {} })
    }
  }
  return samples
}

const mark = (word: Mark['mark'], atMs: number, server = 'srv-1'): Sample => ({ kind: 'mark', mark: word, atMs, server })

describe('the baseline', () => {
  test('is good when one server holds the address, all report and every probe is answered', () => {
    expect(baselineProblems(about, seen(1000, { 'srv-1': [0, 9999] }), 1000)).toEqual([])
  })

  test('is bad with a single failed probe', () => {
    const problems = baselineProblems(about, seen(1000, { 'srv-1': [0, 9999] }, [500, 600]), 1000)
    expect(problems).toEqual([`1 of the last 11 probes of ${VIP} failed before anything was disturbed: ECONNREFUSED`])
  })

  test('is good again once 30 probes after the failed one were answered, as after a lost packet', () => {
    const lost = (untilMs: number) => seen(untilMs, { 'srv-1': [0, 9999] }, [500, 600])
    expect(baselineProblems(about, lost(3400), 3400)).toEqual([
      `1 of the last 30 probes of ${VIP} failed before anything was disturbed: ECONNREFUSED`,
    ])
    expect(baselineProblems(about, lost(3500), 3500)).toEqual([])
  })

  test('is never good where one probe in ten gets no answer, although each of those ends long after it was sent', () => {
    const samples = seen(6000, { 'srv-1': [0, 9999] }).map(
      (sample, index): Sample =>
        sample.kind === 'probe' && sample.sentMs % 1000 === 0
          ? { ...sample, ok: false, tookMs: 1000, error: `no answer, ${index}` }
          : sample,
    )
    for (let nowMs = 1000; nowMs <= 6000; nowMs += 100) {
      const ended = samples.filter(sample => sample.kind !== 'probe' || sample.sentMs + sample.tookMs <= nowMs)
      expect(baselineProblems(about, ended, nowMs)).toHaveLength(1)
    }
  })

  test('is bad where the probes of one place fail, however many of another place are answered', () => {
    const good = seen(6000, { 'srv-1': [0, 9999] })
    const failed: Sample = { kind: 'probe', from: 'srv-2', sentMs: 1000, tookMs: 1, ok: false, error: 'ECONNREFUSED' }
    expect(baselineProblems(about, [...good, failed], 6000)).toEqual([
      `1 of the last 31 probes of ${VIP} failed before anything was disturbed: ECONNREFUSED`,
    ])
  })

  test('is bad without a holder, with two holders, and with another holder', () => {
    expect(baselineProblems(about, seen(1000, {}), 1000)[0]).toContain('is on no server')
    expect(baselineProblems(about, seen(1000, { 'srv-1': [0, 9999], 'srv-2': [0, 9999] }), 1000)[0]).toContain('is on srv-1 and srv-2')
    expect(baselineProblems(about, seen(1000, { 'srv-2': [0, 9999] }), 1000)[0]).toContain('is on srv-2')
  })

  test('is bad while a server says nothing, or no probe has come back', () => {
    const silent = seen(1000, { 'srv-1': [0, 9999] }).filter(sample => sample.kind !== 'holder' || sample.server !== 'srv-2')
    expect(baselineProblems(about, silent, 1000)).toEqual(['srv-2 does not report what it holds'])
    const unasked = seen(1000, { 'srv-1': [0, 9999] }).filter(sample => sample.kind !== 'probe')
    expect(baselineProblems(about, unasked, 1000)).toEqual([`no probe of ${VIP} has come back yet`])
  })
})

describe('a takeover has settled', () => {
  const moved = (untilMs: number) => [...seen(untilMs, { 'srv-1': [0, 500], 'srv-2': [400, 9999] }, [500, 800]), mark('disturbed', 300)]

  test('once another server has held the address alone for a second and all probes of that second were good', () => {
    expect(takeoverIsSettled(about, moved(1700), 1700)).toBe(false)
    expect(takeoverIsSettled(about, moved(1900), 1900)).toBe(true)
  })

  /** Those of which is known at nowMs, where each takes so long. */
  const slowly = (tookMs: number, nowMs: number, fails?: readonly [number, number]) => [
    ...seen(nowMs, { 'srv-1': [0, 500], 'srv-2': [400, 9999] }, fails)
      .map(sample => (sample.kind === 'probe' ? { ...sample, tookMs } : sample))
      .filter(sample => sample.kind !== 'probe' || sample.sentMs + tookMs <= nowMs),
    mark('disturbed', 300),
  ]

  test('where each answer comes for longer than a second, too', () => {
    expect(takeoverIsSettled(about, slowly(1500, 3000), 3000)).toBe(true)
    expect(moveIsJudged(about, slowly(1500, 3000), 3000)).toBe(true)
  })

  test('not by slow answers of the old holder', () => {
    const ofTheOld = slowly(1500, 1900).filter(sample => sample.kind !== 'probe' || sample.sentMs < 400)
    expect(takeoverIsSettled(about, ofTheOld, 1900)).toBe(false)
  })

  test('also while the last probes that the old holder lost end', () => {
    const lost = slowly(1000, 1500, [0, 9999]).filter(sample => sample.kind !== 'probe' || sample.sentMs < 400)
    const good = seen(1500, {}).filter(sample => sample.kind === 'probe' && sample.sentMs >= 400)
    expect(takeoverIsSettled(about, [...lost, ...good], 1500)).toBe(true)
  })

  test('never while one probe in two gets no answer, although each of those ends long after it was sent', () => {
    const failed = slowly(1010, 5000, [0, 5000])
    const good = seen(5000, {}).filter(sample => sample.kind === 'probe')
    expect(takeoverIsSettled(about, [...failed, ...good], 5000)).toBe(false)
  })

  test('never while the old holder still has it', () => {
    const both = [...seen(5000, { 'srv-1': [0, 9999], 'srv-2': [400, 9999] }), mark('disturbed', 300)]
    expect(takeoverIsSettled(about, both, 5000)).toBe(false)
  })

  test('not before anything was disturbed', () => {
    expect(takeoverIsSettled(about, seen(5000, { 'srv-2': [0, 9999] }), 5000)).toBe(false)
  })

  test('not by the samples of a server that has fallen silent', () => {
    expect(takeoverIsSettled(about, moved(1900), 3000)).toBe(false)
  })

  test('once the address is back by itself, where another server had it for less than a second', () => {
    // As in a restart of haproxy. `seen` has one stay a server, and the first one's is before and after.
    const home = seen(3000, { 'srv-2': [800, 1600] }).map(
      (sample): Sample =>
        sample.kind === 'holder' && sample.server === 'srv-1' && (sample.atMs < 900 || sample.atMs >= 1500)
          ? { ...sample, holds: [VIP] }
          : sample,
    )
    const until = (nowMs: number) => [
      ...home.filter(sample => (sample.kind === 'probe' ? sample.sentMs : sample.atMs) <= nowMs),
      mark('disturbed', 300),
    ]
    expect(takeoverIsSettled(about, until(2400), 2400)).toBe(false)
    expect(takeoverIsSettled(about, until(2600), 2600)).toBe(true)
    // What the drill itself has open would keep a stop waiting.
    expect(moveIsJudged(about, until(2600), 2600)).toBe(true)
    const failing = seen(3000, {}, [1600, 9999]).filter(sample => sample.kind === 'probe')
    expect(takeoverIsSettled(about, [...until(2600).filter(sample => sample.kind !== 'probe'), ...failing], 2600)).toBe(false)
  })

  test('not where the address has never left, and not by what another server had before the disturbance', () => {
    const before = [...seen(5000, { 'srv-2': [0, 500], 'srv-1': [600, 9999] }), mark('disturbed', 800)]
    expect(takeoverIsSettled(about, before, 5000)).toBe(false)
    const beside = [...seen(5000, { 'srv-1': [0, 9999], 'srv-2': [900, 1300] }), mark('disturbed', 800)]
    expect(takeoverIsSettled(about, beside, 5000)).toBe(false)
  })

  test('after a while of watching, where the address may stay', () => {
    const stays = { ...about, expect: { ...about.expect, taker: 'nobody' as const } }
    const samples = [...seen(6000, { 'srv-1': [0, 9999] }), mark('disturbed', 300)]
    expect(takeoverIsSettled(stays, samples, 5200)).toBe(false)
    expect(takeoverIsSettled(stays, samples, 5300)).toBe(true)
  })

  test('after a while of two holders, where two are expected', () => {
    const partition = { ...about, expect: { ...about.expect, holders: 2 as const } }
    const two = [...seen(6000, { 'srv-1': [0, 9999], 'srv-2': [400, 9999] }), mark('disturbed', 300)]
    const one = [...seen(6000, { 'srv-1': [0, 9999] }), mark('disturbed', 300)]
    expect(takeoverIsSettled(partition, two, 6000)).toBe(true)
    expect(takeoverIsSettled(partition, one, 6000)).toBe(false)
    const late = [...seen(7000, { 'srv-1': [0, 9999], 'srv-2': [5600, 9999] }), mark('disturbed', 300)]
    const until = (nowMs: number) => late.filter(sample => (sample.kind === 'probe' ? sample.sentMs : sample.atMs) <= nowMs)
    // As long as the judge wants it: else the drill ends too soon and proves nothing.
    expect(takeoverIsSettled(partition, until(6300), 6300)).toBe(false)
    expect(takeoverIsSettled(partition, until(6800), 6800)).toBe(true)
  })
})

describe('the way home has settled', () => {
  const home = (untilMs: number) => [...seen(untilMs, { 'srv-2': [0, 2000], 'srv-1': [1900, 9999] }), mark('restored', 1000)]

  test('once the old holder has had the address for a second', () => {
    expect(failbackIsSettled(about, home(2800), 2800)).toBe(false)
    expect(failbackIsSettled(about, home(3000), 3000)).toBe(true)
  })

  test('never while the address is elsewhere, unless it is meant to stay there', () => {
    const away = [...seen(9000, { 'srv-2': [0, 9999] }), mark('restored', 1000)]
    expect(failbackIsSettled(about, away, 9000)).toBe(false)
    expect(failbackIsSettled({ ...about, goesHome: false }, away, 3900)).toBe(false)
    expect(failbackIsSettled({ ...about, goesHome: false }, away, 4000)).toBe(true)
  })

  test('not before the undo was confirmed', () => {
    expect(failbackIsSettled(about, seen(9000, { 'srv-1': [0, 9999] }), 9000)).toBe(false)
  })
})

describe('a drill that goes from holder to holder', () => {
  const each = { ...about, servers: ['srv-1', 'srv-2', 'srv-3'], onEach: true }
  const second = [...seen(4000, { 'srv-2': [0, 9999] }), mark('disturbed', 300), mark('disturbed', 2000, 'srv-2')]

  test('goes on at the present holder, unless it was disturbed before or there is not exactly one', () => {
    expect(nextToDisturb(each, seen(1000, { 'srv-2': [0, 9999] }), 1000)).toBe('srv-2')
    expect(nextToDisturb(each, second, 4000)).toBeUndefined()
    expect(nextToDisturb(each, seen(1000, { 'srv-1': [0, 9999], 'srv-2': [0, 9999] }), 1000)).toBeUndefined()
  })

  test('has not settled while a server that was disturbed holds the address', () => {
    expect(takeoverIsSettled(each, second, 4000)).toBe(false)
    expect(takeoverIsSettled({ ...each, onEach: false }, second, 4000)).toBe(true)
  })
})

describe('a second fault', () => {
  const quiet = [...seen(3000, { 'srv-1': [0, 9999] }), mark('disturbed', 300)]

  test('is not reported while the others are healthy', () => {
    expect(secondFaults(quiet, about.servers, 3000, 1)).toEqual([])
  })

  test.each([
    { state: 'failed', found: ['haproxy on srv-2 is failed, although it was not disturbed'] },
    { state: 'activating', found: [] },
  ])('is a service that is $state on a server nobody touched', ({ state, found }) => {
    const word: Sample = { kind: 'holder', server: 'srv-2', atMs: 3000, reachable: true, holds: [], units: { haproxy: state } }
    expect(secondFaults([...quiet, word], about.servers, 3000, 1)).toEqual(found)
    expect(secondFaults([...quiet, { ...word, server: 'srv-1' }], about.servers, 3000, 1)).toEqual([])
  })

  test('is reported after a silence of some seconds, and not after a moment without a connection', () => {
    const lost: Sample = { kind: 'holder', server: 'srv-2', atMs: 3100, reachable: false, holds: [], units: {} }
    expect(secondFaults([...quiet, lost], about.servers, 4000, 1)).toEqual([])
    expect(secondFaults([...quiet, lost], about.servers, 8200, 1)).toEqual(['srv-2 stopped reporting, although it was not disturbed'])
    // A starved server, with --timeout above its default.
    expect(secondFaults([...quiet, lost], about.servers, 8200, 3)).toEqual([])
    expect(secondFaults([...quiet, lost], about.servers, 18_200, 3)).toHaveLength(1)
  })
})
