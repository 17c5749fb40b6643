/** From samples to a verdict: did the failover do what it promises, and is everything as it was? */
import type { ProbeSample, Sample } from '../../state/drill.ts'
import { peopleCounts, peopleFindings, peopleNotes } from './people.ts'
import { firewallChanges, restorationFindings } from './restoration.ts'
import {
  endOf,
  hadTwoHolders,
  type HoldInterval,
  holdersAt,
  holdersOverlap,
  holdIntervals,
  markAt,
  marksOf,
  outageOf,
  probesOf,
  TWO_HOLDERS_AFTER_MS,
} from './timeline.ts'
import type { DrillCase, DrillRecord, Finding, OriginVerdict, Verdict } from './verdict.ts'

/** Judges a drill that was carried out. `record` must have the marks "disturbed" and "undone". */
export function judgeDrill(about: DrillCase, record: DrillRecord): Verdict {
  const { samples } = record
  const end = endOf(samples)
  const disturbedMs = markAt(samples, 'disturbed') ?? end
  const undoneMs = markAt(samples, 'undone') ?? end
  const probes = probesOf(samples)
  const intervals = holdIntervals(samples, about.vip)
  const takers = takersOf(about, samples, intervals, disturbedMs, undoneMs)
  const to = about.onEach === true && takers.some(taker => taker.to === undefined) ? undefined : takers.at(-1)?.to
  const other = otherTaker(about, to, intervals, disturbedMs, undoneMs)
  const outageMs = wholeMs(outageOf(probes, { fromMs: disturbedMs, toMs: undoneMs }, true))
  const failbackOutageMs = wholeMs(outageOf(probes, { fromMs: undoneMs, toMs: Infinity }))
  const { holders } = holdersAt(samples, about.vip, about.servers, lastHolderAt(samples))
  const failback = holders.length === 1 ? holders[0] : undefined
  const failedProbes = probes.filter(probe => !probe.ok).length

  const unrestored = restorationFindings(about, record, holders)
  const stopped = (record.stopped ?? []).map((text): Finding => ({ code: 'E_UNHEALTHY', text: `the drill was stopped: ${text}` }))
  const seen =
    stopped.length > 0
      ? stopped
      : [
          ...takers.flatMap(taker => takerFindings(about, taker, record.diagnosis)),
          ...(other?.isWrong === true ? [{ code: 'E_FAILOVER_UNWANTED', text: other.text } as const] : []),
          ...outageFindings(about, takers, outageMs),
          ...holderFindings(about, intervals, disturbedMs, undoneMs),
          ...movesFindings(about, intervals),
          ...lostFindings(about, failedProbes),
          ...peopleFindings(about, samples),
          ...failbackFindings(about, failback, failbackOutageMs),
        ]
  const findings = [...seen, ...unrestored]
  return {
    drill: about.drill,
    vip: about.vip,
    verdict: findings.length === 0 ? 'passed' : 'failed',
    from: about.from,
    predicted: about.predicted,
    to,
    // Nobody took over although a server had to: the time until the undo restored the service is no failover time.
    outageMs: to === undefined && about.expect.taker === 'next' ? undefined : outageMs,
    failedProbes,
    probes: probes.length,
    origins: originVerdicts(probes),
    ...peopleCounts(samples),
    connectionsPromised: about.keepsConnections,
    holdersMax: holdersOverlap(intervals).most,
    failback,
    failbackOutageMs,
    restored: unrestored.length === 0,
    reasons: findings.map(finding => finding.text),
    findings,
    notes: [
      ...(other?.isWrong === false || (other !== undefined && stopped.length > 0) ? [other.text] : []),
      ...notesOn(about, record, takers, failback, intervals),
      ...errorNotes(about, probes),
      ...peopleNotes(about, samples),
    ],
  }
}

function originVerdicts(probes: readonly ProbeSample[]): readonly OriginVerdict[] {
  return [...new Set(probes.map(probe => probe.from))].map(from => {
    const own = probes.filter(probe => probe.from === from)
    return { from, probes: own.length, failedProbes: own.filter(probe => !probe.ok).length, outageMs: wholeMs(outageOf(own)) }
  })
}

function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms)
}

/** Who took over from whom after one disturbance. */
interface Taker {
  readonly from: string
  readonly to: string | undefined
}

/** For each disturbance: the first server, of those not yet out, that was seen with the address before the next disturbance or the undo. */
function takersOf(
  about: DrillCase,
  samples: readonly Sample[],
  intervals: readonly HoldInterval[],
  disturbedMs: number,
  undoneMs: number,
): readonly Taker[] {
  const marks = about.onEach === true ? marksOf(samples, 'disturbed') : []
  const rounds = marks.length === 0 ? [{ from: about.from, atMs: disturbedMs }] : marks.map(({ server, atMs }) => ({ from: server, atMs }))
  return rounds.map(({ from, atMs }, index) => {
    const out = rounds.slice(0, index + 1).map(round => round.from)
    const untilMs = rounds[index + 1]?.atMs ?? undoneMs
    const taken = intervals.find(({ server, fromMs, toMs }) => !out.includes(server) && fromMs < untilMs && toMs >= atMs)
    return { from, to: taken?.server }
  })
}

function takerFindings(about: DrillCase, { from, to }: Taker, diagnosis: string | undefined): readonly Finding[] {
  const { vip } = about
  switch (about.expect.taker) {
    case 'next': {
      if (to !== undefined) return []
      const reason = diagnosis ?? about.foretold
      const because = reason === undefined ? '' : `: ${reason}`
      return [{ code: 'E_FAILOVER_NONE', text: `no other server took ${vip} over from ${from}${because}` }]
    }
    case 'nobody':
      if (to === undefined) return []
      return [{ code: 'E_FAILOVER_UNWANTED', text: `${to} took ${vip} over, although it should have stayed on ${from}` }]
    case 'either':
      return []
  }
}

/**
 * Another server than the predicted one took over. Backups whose timers end close together may both take the address, and the predicted
 * one then takes it from the other. It is wrong where the predicted one never had the address, although nothing could prevent that.
 */
function otherTaker(
  about: DrillCase,
  to: string | undefined,
  intervals: readonly HoldInterval[],
  disturbedMs: number,
  undoneMs: number,
): { readonly text: string; readonly isWrong: boolean } | undefined {
  const { isTakerCertain = false, onEach = false, expect, predicted } = about
  if (to === undefined || predicted === undefined || to === predicted) return undefined
  const had = intervals.some(({ server, fromMs, toMs }) => server === predicted && fromMs < undoneMs && toMs >= disturbedMs)
  return {
    text: `${to} took over; by keepalived's own priorities it should have been ${predicted}`,
    isWrong: isTakerCertain && !onEach && expect.taker === 'next' && expect.holders === 1 && !had,
  }
}

function outageFindings(about: DrillCase, takers: readonly Taker[], outageMs: number | undefined): readonly Finding[] {
  const { maxOutageMs, vip } = about
  const wasTaken = takers.every(taker => taker.to !== undefined)
  // Where nobody took over, the findings say so already, and the time until the undo is no failover time.
  if (!wasTaken && about.expect.taker === 'next') return []
  if (outageMs === undefined) {
    const after = wasTaken ? ` after ${takers.at(-1)?.to ?? ''} took it over` : ''
    return [{ code: 'E_FAILOVER_NONE', text: `${vip} did not answer again${after}` }]
  }
  if (maxOutageMs === undefined || outageMs <= maxOutageMs) return []
  return [{ code: 'E_FAILOVER_SLOW', text: `${vip} did not answer for ${outageMs} ms; at most ${maxOutageMs} ms were allowed` }]
}

function holderFindings(about: DrillCase, intervals: readonly HoldInterval[], disturbedMs: number, undoneMs: number): readonly Finding[] {
  const { vip } = about
  const { holders, healsMs, twoHoldersMs = TWO_HOLDERS_AFTER_MS } = about.expect
  const { longestMs, lastMs } = holdersOverlap(intervals)
  const findings: Finding[] = []
  if (healsMs !== undefined && lastMs !== undefined && lastMs - undoneMs > healsMs) {
    const text = `more than one server held ${vip} until ${Math.round(lastMs - undoneMs)} ms after the undo; at most ${healsMs} ms were allowed`
    findings.push({ code: 'E_TWO_MASTERS', text })
  }
  switch (holders) {
    case 1:
      if (longestMs > twoHoldersMs) {
        findings.push({ code: 'E_TWO_MASTERS', text: `more than one server held ${vip} for ${Math.round(longestMs)} ms` })
      }
      return findings
    case 2:
      if (hadTwoHolders(intervals, { fromMs: disturbedMs, toMs: undoneMs })) return findings
      return [
        {
          code: 'E_FAILOVER_NONE',
          text: `two servers should have held ${vip} for more than ${TWO_HOLDERS_AFTER_MS} ms and did not: the drill proves nothing`,
        },
        ...findings,
      ]
    case 'either':
      return findings
  }
}

function movesFindings(about: DrillCase, intervals: readonly HoldInterval[]): readonly Finding[] {
  const moves = movesOf(intervals)
  if (about.expect.moves === undefined || moves <= about.expect.moves) return []
  return [{ code: 'E_FAILOVER_UNWANTED', text: `${about.vip} moved ${moves} times; at most ${about.expect.moves} expected` }]
}

function lostFindings(about: DrillCase, failedProbes: number): readonly Finding[] {
  if (about.expect.lost === undefined || failedProbes <= about.expect.lost) return []
  return [{ code: 'E_FAILOVER_SLOW', text: `${failedProbes} new connections were lost; at most ${about.expect.lost} allowed` }]
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

function lastHolderAt(samples: readonly Sample[]): number {
  return samples.reduce((last, sample) => (sample.kind === 'holder' ? Math.max(last, sample.atMs) : last), 0)
}

function notesOn(
  about: DrillCase,
  record: DrillRecord,
  takers: readonly Taker[],
  failback: string | undefined,
  intervals: readonly HoldInterval[],
): readonly string[] {
  const notes: string[] = []
  if (about.onEach === true) notes.push(`${about.vip} went ${[about.from, ...takers.map(taker => taker.to ?? 'nowhere')].join(' -> ')}`)
  if (!about.goesHome && failback !== undefined && failback !== about.from) {
    notes.push(
      `${about.vip} stays on ${failback}: this cluster does not preempt; hactl drain ${failback} and hactl undrain ${failback} bring it back`,
    )
  }
  if (about.boots === true)
    notes.push(
      ...firewallChanges(record).map(
        server => `${server} has other packet filter rules since it booted: check that the rules it needs are loaded at boot`,
      ),
    )
  const moves = movesOf(intervals)
  const expected = failback === about.from ? takers.length + 1 : takers.length
  if (moves > expected) notes.push(`${about.vip} moved ${moves} times; expected ${expected}`)
  return notes
}

/** The errors of the failed probes, the most frequent first: a refused connection, a reset one and silence have different causes. */
function errorNotes(about: DrillCase, probes: readonly ProbeSample[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const { ok, error } of probes) if (!ok) counts.set(error ?? 'unknown', (counts.get(error ?? 'unknown') ?? 0) + 1)
  if (counts.size === 0) return []
  const errors = [...counts].sort((a, b) => b[1] - a[1]).map(([error, count]) => `${count} x ${error}`)
  return [`errors of the lost probes of ${about.vip}: ${errors.join(', ')}`]
}

/** How often the address came to a server that did not have it just before. */
function movesOf(intervals: readonly HoldInterval[]): number {
  return intervals.filter(({ server }, index) => index > 0 && intervals[index - 1]?.server !== server).length
}
