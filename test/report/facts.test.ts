import { describe, expect, test } from 'vitest'
import { factsOf } from '../../src/report/facts.ts'
import { inertText, maskSecrets } from '../../src/report/text.ts'
import type { Sample } from '../../src/state/drill.ts'
import { accountOf, brokenOffAccount, journalOf, NOON, refusedAccount, runOf, TIMELINES } from './runs.ts'

function factsFor(...drills: Parameters<typeof runOf>[0]) {
  const [first] = factsOf(runOf(drills)).drills
  if (first === undefined) throw new Error('no drill')
  return first
}

describe('the facts of a drill', () => {
  test('have every long-lived connection from its opening to its cut', () => {
    const { keptLanes, axis, cuts } = factsFor(accountOf('reload-cuts-a-kept-connection'))
    const [cut, kept, ...others] = keptLanes
    expect(others).toEqual([])
    expect(cut).toMatchObject({ from: 'controller', id: 0, cuts: [{ error: 'answered with Connection: close' }] })
    expect(keptLanes.map(lane => lane.spans.length)).toEqual([2, 1])
    expect(kept?.spans[0]?.toMs).toBe(axis?.toMs)
    expect(cut?.spans[0]?.toMs).toBe(cut?.cuts[0]?.atMs)
    expect(cuts.map(group => group.count)).toEqual([1])
  })

  test('count from the beginning where the drill ended before its disturbance', () => {
    const early = factsFor(brokenOffAccount('classic', 500))
    expect(early).toMatchObject({ verdict: 'refused', zero: 'beginning', axis: { fromMs: 0 }, summary: 'not run' })
    expect(early.probes).toBeGreaterThan(0)
    expect(factsFor(brokenOffAccount('classic', 4000))).toMatchObject({ verdict: 'failed', zero: 'disturbance', restored: false })
  })

  test('are on an axis that begins with the disturbance', () => {
    const { axis, marks } = factsFor(accountOf('classic'))
    expect(axis).toEqual({ fromMs: -1000, toMs: 13_903 })
    expect(marks.map(({ mark, atMs }) => [mark, atMs])).toEqual([
      ['armed', -50],
      ['disturbed', 0],
      ['undone', 8000],
      ['restored', 8080],
    ])
  })

  test.for(TIMELINES)('of %s have the interruptions that its verdict counts', name => {
    const account = accountOf(name)
    const { interruptions, failedProbes, outageMs } = factsFor(account)
    expect(interruptions.reduce((sum, gap) => sum + gap.failedProbes, 0)).toBe(failedProbes)
    const during = interruptions.filter(gap => gap.phase === 'failure')
    // Of a drill in which nobody took over, the verdict has no outage, because the undo ended it.
    const longest =
      outageMs === undefined ? undefined : Math.max(0, ...during.map(gap => (gap.toMs ?? Number.POSITIVE_INFINITY) - gap.fromMs))
    expect(longest).toBe(outageMs)
  })

  test('show who held the address when, and how the services stood', () => {
    const [first, second] = factsFor(accountOf('classic')).lanes
    expect(first?.holds).toEqual([
      { fromMs: -990, toMs: 6210, state: 'held' },
      { fromMs: 12_210, toMs: 13_810, state: 'held' },
    ])
    expect(second?.holds).toHaveLength(1)
    expect(first?.units['haproxy']?.map(span => span.state)).toEqual(['active', 'inactive', 'active'])
    expect(first?.units['keepalived']?.map(span => span.state)).toEqual(['unknown'])
  })

  test('show a silent server as unknown, and distinguish silence from a lost connection', () => {
    const silent = factsFor(accountOf('classic')).lanes.find(lane => lane.server === 'srv-3')
    expect(silent?.silences).toEqual([{ fromMs: -1000, toMs: 13_903, state: 'silent' }])
    const account = accountOf('classic')
    const lost: Sample = { kind: 'holder', server: 'srv-3', atMs: 4000, reachable: false, holds: [], units: {} }
    const gone = factsFor({ ...account, samples: [...account.samples, lost] }).lanes.find(lane => lane.server === 'srv-3')
    expect(gone?.silences).toEqual([{ fromMs: 3000, toMs: 13_903, state: 'unreachable' }])
    expect(gone?.units['haproxy']).toEqual([])
  })

  test('group the failed probes by their error, the most frequent first', () => {
    const account = accountOf('classic')
    const samples = account.samples.map(sample =>
      sample.kind === 'probe' && !sample.ok && sample.sentMs < 1300 ? { ...sample, error: 'no answer in 1000 ms' } : sample,
    )
    expect(factsFor({ ...account, samples }).errors).toEqual([
      { error: 'ECONNREFUSED', count: 62, firstMs: 300, lastMs: 6400, from: ['controller'] },
      { error: 'no answer in 1000 ms', count: 3, firstMs: 0, lastMs: 200, from: ['controller'] },
    ])
  })

  test('put the journals of all servers on one axis by their uptimes, whatever their wall clocks say', () => {
    const [first, second] = [journalOf('srv-1', [[1000, 'systemd', 'late']]), journalOf('srv-2', [[900, 'systemd', 'early']])]
    // srv-2's wall clock is a minute slow.
    const slow = {
      ...second,
      lines: second.lines.map(line => ({ ...line, atMs: line.atMs - 60_000 })),
      bootedAtMs: NOON - 90_000 - 60_000,
    }
    const { journal } = factsFor(accountOf('classic', { journals: [first, slow] }))
    expect(journal.map(({ message, sinceMs }) => [message, sinceMs])).toEqual([
      ['early', -100],
      ['late', 0],
    ])
  })

  test('keep journal lines that cannot be put on the axis, after the others', () => {
    const journals = [
      { ...journalOf('srv-1', [[0, 'systemd', 'somewhen']]), bootedAtMs: undefined },
      journalOf('srv-2', [[1500, 'systemd', 'known']]),
      { ...journalOf('srv-3', []), problem: 'no journal files were found' },
    ]
    const { journal, journalGaps } = factsFor(accountOf('classic', { journals }))
    expect(journal.map(line => line.message)).toEqual(['known', 'somewhen'])
    expect(journalGaps).toEqual(['the journal of srv-3 could not be read: no journal files were found'])
  })

  test('of a refused drill have its reasons and no axis', () => {
    const refused = factsFor(refusedAccount())
    expect(refused).toMatchObject({ axis: undefined, lanes: [], interruptions: [], summary: 'not run' })
    expect(refused.reasons).toEqual(['srv-2: haproxy is not active'])
  })
})

describe('text from outside', () => {
  test('becomes one short line in which every control character is visible', () => {
    expect(inertText('a\nb\u001B[2J\u0000\u202Ec\uD800')).toBe('a\\nb\\x1b[2J\\x00\\u202ec\uFFFD')
    const long = inertText('x'.repeat(10_000))
    expect(long).toMatch(/^x{500} … \(9500 more characters\)$/)
    expect(inertText(`${'x'.repeat(499)}\u{1F600}`).isWellFormed()).toBe(true)
  })

  test.for([
    ['    auth_pass hunter2', '    auth_pass ***'],
    ['auth_pass "two words" }', 'auth_pass *** }'],
    ['password=hunter2 user=ops', 'password=*** user=ops'],
    ['Authorization: Basic b3BzOng=', 'Authorization: Basic ***'],
    ['GET http://ops:hunter2@192.0.2.1/', 'GET http://ops:***@192.0.2.1/'],
    ['(VRRP1) Entering MASTER STATE', '(VRRP1) Entering MASTER STATE'],
  ])('%j loses what looks like a password', ([text, masked]) => {
    expect(maskSecrets(text ?? '')).toBe(masked)
  })
})
