import { describe, expect, test } from 'vitest'
import { alignHolders, holdersAt, holdersOverlap, holdIntervals, outageOf, outageSoFar } from '../../../src/domain/failover/timeline.ts'
import type { HolderSample, ProbeSample } from '../../../src/state/drill.ts'

const VIP = '198.51.100.200'

/** "0 20! 40": sent at 0, 20 and 40, the second one failed. */
function probes(text: string, from = 'controller'): ProbeSample[] {
  return text.split(' ').map(word => ({ kind: 'probe', from, sentMs: Number.parseInt(word, 10), tookMs: 1, ok: !word.endsWith('!') }))
}

function holder(server: string, atMs: number, holds: boolean, uptimeMs?: number): HolderSample {
  return { kind: 'holder', server, atMs, uptimeMs, reachable: true, holds: holds ? [VIP] : [], units: {} }
}

function lost(server: string, atMs: number): HolderSample {
  return { kind: 'holder', server, atMs, reachable: false, holds: [], units: {} }
}

describe('an outage', () => {
  test.each<{ text: string; ms: number | undefined; why: string }>([
    { text: '0 20 40 60', ms: 0, why: 'no probe failed' },
    { text: '0 20! 40', ms: 40, why: 'from the last good sending to the next good one' },
    { text: '0 20! 40! 60! 80', ms: 80, why: 'over all failed probes of the run' },
    { text: '0 20! 40 60! 80! 100', ms: 60, why: 'the longest run, not from the first failure to the last' },
    { text: '0! 20! 40', ms: 40, why: 'from the first sending where none before was good' },
    { text: '0 20! 40!', ms: undefined, why: 'nobody answered again' },
    { text: '0 20! 40 60!', ms: undefined, why: 'the last run never ended, however long the others were' },
  ])('of $text is $ms: $why', ({ text, ms }) => {
    expect(outageOf(probes(text))).toBe(ms)
  })

  test('counts in the window in which its first probe failed, also beyond the end of that window', () => {
    const samples = probes('0 20! 40! 60 80! 100')
    expect(outageOf(samples, { fromMs: 0, toMs: 40 })).toBe(60)
    expect(outageOf(samples, { fromMs: 40, toMs: 200 })).toBe(40)
  })

  test('counts in a window into which it reaches, where probes on their way when it begins are asked for', () => {
    const samples = probes('0 20! 40 60 80! 100! 120! 140 160')
    expect(outageOf(samples, { fromMs: 90, toMs: 150 }, true)).toBe(80)
    expect(outageOf(samples, { fromMs: 90, toMs: 150 })).toBe(0)
    expect(outageOf(samples, { fromMs: 150, toMs: 170 }, true)).toBe(0)
    expect(outageOf(probes('0 20! 40!'), { fromMs: 30, toMs: 50 }, true)).toBeUndefined()
    expect(outageSoFar(samples, 90, 160)).toBe(80)
  })

  test('does not depend on the order in which the answers came', () => {
    expect(outageOf(probes('40 0 20!'))).toBe(40)
  })

  test('is measured for each place that probes came from, although another place still gets answers', () => {
    expect(outageOf([...probes('0 20! 40! 60'), ...probes('10 30 50', 'srv-3')])).toBe(60)
  })

  test('is 0 without a probe', () => {
    expect(outageOf([])).toBe(0)
  })
})

describe('holding', () => {
  test('lasts from the first sample that shows the address to the last', () => {
    const samples = [holder('srv-1', 0, true), holder('srv-1', 100, true), holder('srv-1', 200, false), holder('srv-1', 300, true)]
    expect(holdIntervals(samples, VIP)).toEqual([
      { server: 'srv-1', fromMs: 0, toMs: 100 },
      { server: 'srv-1', fromMs: 300, toMs: 300 },
    ])
  })

  test('is unknown while a server is silent for more than a second, or unreachable', () => {
    const silence = [holder('srv-1', 0, true), holder('srv-1', 1001, true)]
    expect(holdIntervals(silence, VIP)).toHaveLength(2)
    const cut = [holder('srv-1', 0, true), lost('srv-1', 50), holder('srv-1', 100, true)]
    expect(holdIntervals(cut, VIP)).toHaveLength(2)
  })

  test('does not count for another address', () => {
    expect(holdIntervals([{ ...holder('srv-1', 0, true), holds: ['198.51.100.20'] }], VIP)).toEqual([])
  })
})

describe('holders at the same time', () => {
  const interval = (server: string, fromMs: number, toMs: number) => ({ server, fromMs, toMs })

  test('are one server where the address moves without an overlap', () => {
    expect(holdersOverlap([interval('srv-1', 0, 100), interval('srv-2', 101, 200)])).toEqual({ most: 1, longestMs: 0 })
  })

  test('are two servers as long as both have it', () => {
    expect(holdersOverlap([interval('srv-1', 0, 500), interval('srv-2', 100, 900)])).toEqual({ most: 2, longestMs: 400, lastMs: 500 })
  })

  test('overlap without a break when the second partner changes', () => {
    const three = [interval('srv-1', 0, 3000), interval('srv-2', 1000, 2000), interval('srv-3', 1900, 2900)]
    expect(holdersOverlap(three)).toEqual({ most: 3, longestMs: 1900, lastMs: 2900 })
  })

  test('are no server where nobody has it', () => {
    expect(holdersOverlap([])).toEqual({ most: 0, longestMs: 0 })
  })
})

describe('samples on one axis', () => {
  test("are placed by the server's uptime and the sample that arrived fastest", () => {
    const samples = [holder('srv-1', 1000, true, 50_000), holder('srv-1', 1900, true, 50_100), holder('srv-1', 1901, true, 50_200)]
    expect(alignHolders(samples).map(sample => sample.atMs)).toEqual([1000, 1100, 1200])
  })

  test('are split where the uptime starts again', () => {
    const samples = [
      holder('srv-1', 1000, true, 50_000),
      lost('srv-1', 1500),
      holder('srv-1', 9000, false, 3000),
      holder('srv-1', 9900, false, 3100),
    ]
    expect(alignHolders(samples).map(sample => sample.atMs)).toEqual([1000, 1500, 9000, 9100])
  })
})

describe('who holds an address now', () => {
  const samples = [holder('srv-1', 0, true), holder('srv-1', 900, false), holder('srv-2', 950, true), lost('srv-3', 800)]

  test("is judged by each server's last sample", () => {
    expect(holdersAt(samples, VIP, ['srv-1', 'srv-2'], 1000)).toEqual({ holders: ['srv-2'], silent: [] })
    expect(holdersAt(samples, VIP, ['srv-1', 'srv-2'], 500)).toEqual({ holders: ['srv-1'], silent: ['srv-2'] })
  })

  test('is unknown of a server that is unreachable, never spoke, or spoke too long ago', () => {
    expect(holdersAt(samples, VIP, ['srv-2', 'srv-3', 'srv-4'], 1951).silent).toEqual(['srv-2', 'srv-3', 'srv-4'])
  })
})

describe('the interruption so far', () => {
  const probe = (sentMs: number, ok: boolean): ProbeSample => ({ kind: 'probe', from: 'controller', sentMs, tookMs: 1, ok })

  test('lasts until now while it has not ended', () => {
    expect(outageSoFar([probe(0, true), probe(100, false), probe(200, false)], 50, 700)).toBe(700)
    expect(outageSoFar([probe(0, true), probe(100, false), probe(200, true)], 50, 700)).toBe(200)
    expect(outageSoFar([probe(0, true), probe(100, true)], 50, 700)).toBe(0)
  })
})
