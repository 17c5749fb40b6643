/** From samples to a verdict: did the failover do what it promises, and is everything as it was? */
import type { ErrorCode } from '../../errors.ts'
import type { DrillExpectation, DrillState, ProbeSample, Sample } from '../../state.ts'
import { endOf, type HoldInterval, holdersAt, holdersOverlap, holdIntervals, markAt, outageOf, probesOf } from './timeline.ts'

/** Make before break lets two servers hold the address for a moment by design; longer than this is a split brain. */
export const TWO_HOLDERS_AFTER_MS = 1000

export interface DrillCase {
  readonly drill: string
  readonly vip: string
  /** Who held the address before. */
  readonly from: string
  /** Who should take over, by keepalived's own priorities; undefined where nobody could tell. */
  readonly predicted: string | undefined
  readonly expect: DrillExpectation
  /** The longest interruption that passes, in ms; undefined: any. */
  readonly maxOutageMs: number | undefined
  /** True: the address goes home by itself. False (nopreempt): it stays with whoever took it. */
  readonly goesHome: boolean
  readonly servers: readonly string[]
}

export interface DrillRecord {
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked afterwards are missing. */
  readonly after: readonly DrillState[]
}

export interface Finding {
  readonly code: ErrorCode
  readonly text: string
}

export interface Verdict {
  readonly drill: string
  readonly vip: string
  readonly verdict: 'passed' | 'failed' | 'refused'
  readonly from: string | undefined
  readonly predicted: string | undefined
  /** undefined: nobody took over. */
  readonly to: string | undefined
  /** From the disturbance to its undo, in ms; undefined where nobody took over or answered again. */
  readonly outageMs: number | undefined
  /** Over the whole drill. */
  readonly failedProbes: number
  readonly probes: number
  readonly holdersMax: number
  /** Who has the address in the end; undefined where nobody or more than one does. */
  readonly failback: string | undefined
  /** From the undo to the end, in ms; undefined where nobody answered again. */
  readonly failbackOutageMs: number | undefined
  readonly restored: boolean
  /** Why it failed or was refused, one line each. */
  readonly reasons: readonly string[]
  readonly findings: readonly Finding[]
  /** What the operator should know although it changes no verdict. */
  readonly notes: readonly string[]
}

/** A drill that was not begun, because of the state that the cluster is in. */
export function refusedVerdict(about: Pick<DrillCase, 'drill' | 'vip'> & Partial<DrillCase>, reasons: readonly string[]): Verdict {
  return {
    drill: about.drill,
    vip: about.vip,
    verdict: 'refused',
    from: about.from,
    predicted: about.predicted,
    to: undefined,
    outageMs: undefined,
    failedProbes: 0,
    probes: 0,
    holdersMax: 0,
    failback: undefined,
    failbackOutageMs: undefined,
    restored: true,
    reasons,
    findings: reasons.map(text => ({ code: 'E_UNHEALTHY', text })),
    notes: [],
  }
}

/** Judges a drill that was carried out. `record` must have the marks "disturbed" and "undone". */
export function judgeDrill(about: DrillCase, record: DrillRecord): Verdict {
  const { samples } = record
  const end = endOf(samples)
  const disturbedMs = markAt(samples, 'disturbed') ?? end
  const undoneMs = markAt(samples, 'undone') ?? end
  const probes = probesOf(samples)
  const intervals = holdIntervals(samples, about.vip)
  const overlap = holdersOverlap(intervals)

  const to = takerOf(about, intervals, disturbedMs, undoneMs)
  const outageMs = wholeMs(outageOf(probes, { fromMs: disturbedMs, toMs: undoneMs }))
  const failbackOutageMs = wholeMs(outageOf(probes, { fromMs: undoneMs, toMs: Infinity }))
  const { holders } = holdersAt(samples, about.vip, about.servers, lastHolderAt(samples))
  const failback = holders.length === 1 ? holders[0] : undefined

  const unrestored = restorationFindings(about, record, holders)
  const findings = [
    ...takeoverFindings(about, to, outageMs),
    ...holderFindings(about, overlap.longestMs),
    ...failbackFindings(about, failback, failbackOutageMs),
    ...unrestored,
  ]
  return {
    drill: about.drill,
    vip: about.vip,
    verdict: findings.length === 0 ? 'passed' : 'failed',
    from: about.from,
    predicted: about.predicted,
    to,
    // Nobody took over although somebody had to: how long the undo took to bring the service back is no failover time.
    outageMs: to === undefined && about.expect.taker === 'next' ? undefined : outageMs,
    failedProbes: probes.filter(probe => !probe.ok).length,
    probes: probes.length,
    holdersMax: overlap.most,
    failback,
    failbackOutageMs,
    restored: unrestored.length === 0,
    reasons: findings.map(finding => finding.text),
    findings,
    notes: [...notesOn(about, to, failback, intervals), ...errorNotes(about, probes)],
  }
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms)
}

/** The first other server that was seen with the address between the disturbance and its undo. */
function takerOf(about: DrillCase, intervals: readonly HoldInterval[], disturbedMs: number, undoneMs: number): string | undefined {
  return intervals.find(({ server, fromMs, toMs }) => server !== about.from && fromMs < undoneMs && toMs >= disturbedMs)?.server
}

function takeoverFindings(about: DrillCase, to: string | undefined, outageMs: number | undefined): readonly Finding[] {
  const { from, maxOutageMs, vip } = about
  switch (about.expect.taker) {
    case 'next':
      if (to === undefined) return [{ code: 'E_FAILOVER_NONE', text: `no other server took ${vip} over from ${from}` }]
      break
    case 'nobody':
      if (to !== undefined)
        return [{ code: 'E_FAILOVER_UNWANTED', text: `${to} took ${vip} over, although it should have stayed on ${from}` }]
      break
    case 'either':
      break
  }
  if (outageMs === undefined) {
    return [{ code: 'E_FAILOVER_NONE', text: `${vip} did not answer again${to === undefined ? '' : ` after ${to} took it over`}` }]
  }
  if (maxOutageMs === undefined || outageMs <= maxOutageMs) return []
  return [{ code: 'E_FAILOVER_SLOW', text: `${vip} did not answer for ${outageMs} ms; at most ${maxOutageMs} ms were allowed` }]
}

function holderFindings(about: DrillCase, overlapMs: number): readonly Finding[] {
  const wereTwo = overlapMs > TWO_HOLDERS_AFTER_MS
  switch (about.expect.holders) {
    case 1:
      if (!wereTwo) return []
      return [{ code: 'E_TWO_MASTERS', text: `more than one server held ${about.vip} for ${Math.round(overlapMs)} ms` }]
    case 2:
      if (wereTwo) return []
      return [{ code: 'E_FAILOVER_NONE', text: `two servers should have held ${about.vip} and never did: the drill proves nothing` }]
  }
}

function failbackFindings(about: DrillCase, failback: string | undefined, outageMs: number | undefined): readonly Finding[] {
  const findings: Finding[] = []
  if (about.goesHome && failback !== undefined && failback !== about.from) {
    findings.push({ code: 'E_FAILOVER_NONE', text: `${about.vip} stayed on ${failback} and did not go back to ${about.from}` })
  }
  const { maxOutageMs } = about
  if (maxOutageMs !== undefined && outageMs !== undefined && outageMs > maxOutageMs) {
    const text = `on the way back ${about.vip} did not answer for ${outageMs} ms; at most ${maxOutageMs} ms were allowed`
    findings.push({ code: 'E_FAILOVER_SLOW', text })
  }
  return findings
}

/** What is not as it was before, service by service; where the address went is judged apart. */
function restorationFindings(about: DrillCase, record: DrillRecord, holders: readonly string[]): readonly Finding[] {
  const texts: string[] = []
  for (const before of record.before) {
    const after = record.after.find(state => state.server === before.server)
    if (after === undefined) {
      texts.push(`${before.server} could not be asked how it stands after the drill`)
      continue
    }
    for (const [unit, state] of Object.entries(before.units)) {
      const now = after.units[unit] ?? 'unknown'
      if (now === state) continue
      const remedy = state === 'active' ? `: systemctl start ${unit}` : ''
      texts.push(`${before.server}: ${unit} was ${state} and is ${now}${remedy}`)
    }
    if (after.residue.length > 0) texts.push(`${before.server}: left over from the drill: systemctl stop ${after.residue.join(' ')}`)
  }
  if (holders.length === 0) texts.push(`nobody holds ${about.vip} after the drill`)
  if (holders.length > 1) texts.push(`${holders.join(' and ')} hold ${about.vip} after the drill`)
  if (!answersInTheEnd(record.samples)) texts.push(`${about.vip} does not answer after the drill`)
  return texts.map(text => ({ code: 'E_UNDO_FAILED', text }))
}

function answersInTheEnd(samples: readonly Sample[]): boolean {
  return probesOf(samples).at(-1)?.ok === true
}

function lastHolderAt(samples: readonly Sample[]): number {
  return samples.reduce((last, sample) => (sample.kind === 'holder' ? Math.max(last, sample.atMs) : last), 0)
}

function notesOn(
  about: DrillCase,
  to: string | undefined,
  failback: string | undefined,
  intervals: readonly HoldInterval[],
): readonly string[] {
  const notes: string[] = []
  if (to !== undefined && about.predicted !== undefined && to !== about.predicted) {
    notes.push(`${to} took over; by keepalived's own priorities it should have been ${about.predicted}`)
  }
  if (!about.goesHome && failback !== undefined && failback !== about.from) {
    notes.push(`${about.vip} stays on ${failback}: this cluster does not preempt`)
  }
  const moves = movesOf(intervals)
  const expected = failback === about.from ? 2 : 1
  if (moves > expected) notes.push(`${about.vip} moved ${moves} times, ${expected} would have done`)
  return notes
}

/** What the failed probes met, the most frequent first: a refused connection, a reset one and silence have different causes. */
function errorNotes(about: DrillCase, probes: readonly ProbeSample[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { ok, error } of probes) if (!ok) counts.set(error ?? 'unknown', (counts.get(error ?? 'unknown') ?? 0) + 1)
  if (counts.size === 0) return []
  const errors = [...counts].sort((a, b) => b[1] - a[1]).map(([error, count]) => `${count} x ${error}`)
  return [`what the lost probes of ${about.vip} met: ${errors.join(', ')}`]
}

/** How often the address came to a server that did not have it just before. */
function movesOf(intervals: readonly HoldInterval[]): number {
  return intervals.filter(({ server }, index) => index > 0 && intervals[index - 1]?.server !== server).length
}
