/** The figures of the open-connections benchmark: who cut what, and sums that outlive a run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addFigures, type End, figuresOf, renderFigures, whoCut } from '../../scripts/bench/connections/figures.ts'
import { keptIn } from '../../scripts/bench/connections/kept.ts'
import type { Lost, TrafficSeen } from '../../scripts/bench/connections/traffic-figures.ts'

const lost = (over: Partial<Lost> = {}): Lost => ({ what: 'open on *', port: 40_000, atMs: 10_000, how: 'ECONNRESET', ...over })
const end = (over: Partial<End> = {}): End => ({ atMs: 9999, from: 'srv-2', how: 'RST', port: 40_000, ...over })

describe('who cut a connection', () => {
  test.for([
    ['the server whose reset came next to it', lost(), [end({ from: 'srv-1', atMs: 9000 }), end()], 'RST by srv-2'],
    ['not the one that resets afterwards what is gone already', lost(), [end(), end({ from: 'srv-1', atMs: 10_300 })], 'RST by srv-2'],
    ['not one that reset another port', lost(), [end({ port: 40_001 })], 'ECONNRESET'],
    ['not one that reset the port long before', lost(), [end({ atMs: 1000 })], 'ECONNRESET'],
    ['the server that ended it', lost({ how: 'EOF' }), [end(), end({ how: 'FIN', from: 'srv-1' })], 'FIN by srv-1'],
    ['nobody, where nothing came', lost({ how: 'silence' }), [end()], 'silence'],
    ['the server that refused it', lost({ how: 'no connection: ECONNREFUSED' }), [end()], 'RST by srv-2'],
  ] as const)('is %s', ([, what, ends, who]) => {
    expect(whoCut(what, ends)).toBe(who)
  })
})

const EVENT = 9500
const NONE = { of: 0, lost: 0, list: [] }
const SEEN: TrafficSeen = {
  open: { of: 110, lost: 3, list: [lost(), lost({ how: 'silence' })] },
  fresh: { of: 2000, lost: 1, list: [lost({ what: 'new', how: 'EOF before the end' })] },
  keptAlive: { ...NONE, of: 1500 },
  closedBetween: 20,
  transfers: { ...NONE, of: 3 },
  silenceMs: 120,
}

test('a round counts every loss, listed or not', () => {
  expect(figuresOf(SEEN, [end()], EVENT)).toMatchObject({
    rounds: 1,
    open: { lost: 3, of: 110 },
    by: { 'open: RST by srv-2': 1, 'open: silence': 1, 'open: not listed': 1, 'new: EOF before the end': 1 },
  })
})

test('rounds are added up, and the longest silence is the longest of all', () => {
  const [one, two] = [
    { ...figuresOf(SEEN, [end()], EVENT), moves: 1 },
    { ...figuresOf({ ...SEEN, silenceMs: 90 }, [], EVENT - 20_000), moves: 2 },
  ]
  const sum = addFigures(addFigures(undefined, one), two)
  expect(sum).toMatchObject({
    rounds: 2,
    open: { lost: 6, of: 220 },
    fresh: { lost: 2, of: 4000 },
    closedBetween: 40,
    silenceMs: 120,
    moves: 3,
    cutAfterMs: [500, 20_500],
  })
  expect(sum.by).toMatchObject({ 'open: RST by srv-2': 1, 'open: ECONNRESET': 1, 'open: silence': 2 })
  expect(renderFigures(sum)).toContain('open connections cut 6 of 220 (after 0.50 s to 20.50 s), new requests lost 2 of 4,000')
})

describe('the sums', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-figures-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const DRAIN = { event: 'drain', suite: 'bookworm', version: 'abc1234' }

  test('go on in the next run, by event, suite and version', () => {
    const file = join(folder, 'state/figures.json')
    const round = { ...figuresOf(SEEN, [], EVENT), moves: 1 }
    keptIn(file).add(DRAIN, round)
    const next = keptIn(file)
    expect(next.of({ ...DRAIN, version: 'def5678' })).toBeUndefined()
    expect(next.add(DRAIN, round).rounds).toBe(2)
    expect(keptIn(file).of(DRAIN)?.open.of).toBe(220)
  })

  test('are not begun anew where the file cannot be read', () => {
    const file = join(folder, 'figures.json')
    writeFileSync(file, '{"drain')
    expect(() => keptIn(file)).toThrow(/cannot be read/)
  })
})
