/** What a run saw -> what its reports say: every figure, text and time, clean and on one axis. */
import { DRILL_UNITS } from '../domain/failover/drill.ts'
import { type Verdict, wasRun } from '../domain/failover/verdict.ts'
import { endOf, markAt } from '../domain/failover/timeline.ts'
import type { ConnectionSample, HolderSample, JournalLine, ServerJournal } from '../state/drill.ts'
import { count, endlessOutage, formatMs } from '../words.ts'
import {
  type Interruption,
  interruptionsOf,
  type KeptLane,
  keptLanes,
  type ProbeLane,
  probeLanes,
  type ServerLane,
  serverLane,
  type Span,
  uptimeOffset,
} from './lanes.ts'
import type { DrillAccount, FailoverRun } from './record.ts'
import { inertText, maskSecrets } from './text.ts'

export interface RunFacts extends Omit<FailoverRun, 'drills'> {
  readonly drills: readonly DrillFacts[]
  /** "2 of 3 drills passed". */
  readonly outcome: string
}

/** All times are ms since `zero`. */
export interface DrillFacts extends Omit<Verdict, 'findings'> {
  readonly title: string
  readonly asked: string
  /** The bound of this drill; undefined: any outage passes, or it was refused. */
  readonly maxOutageMs: number | undefined
  /** One line: who took over, how long nobody answered, what was lost. */
  readonly summary: string
  /** Time 0 of the axis: the disturbance, or the beginning of a drill that ended before its disturbance. */
  readonly zero: 'disturbance' | 'beginning'
  /** From the first to the last thing seen; undefined where it was refused. */
  readonly axis: { readonly fromMs: number; readonly toMs: number } | undefined
  readonly marks: readonly MarkFact[]
  readonly lanes: readonly ServerLane[]
  /** What each server reported at each look, as it arrived. The lanes are smoothed by the servers' own clocks. */
  readonly looks: readonly HolderSample[]
  readonly probeLanes: readonly ProbeLane[]
  /** Long-lived connections are counted apart from the probes, each of which is a new connection. */
  readonly keptLanes: readonly KeptLane[]
  readonly connectionEvents: readonly ConnectionSample[]
  readonly interruptions: readonly Interruption[]
  readonly errors: readonly ErrorGroup[]
  /** The same of the long-lived connections that were cut. */
  readonly cuts: readonly ErrorGroup[]
  readonly journal: readonly JournalFact[]
  /** What is missing from the journals, one line each. */
  readonly journalGaps: readonly string[]
}

interface MarkFact {
  readonly mark: string
  readonly atMs: number
  readonly server: string
}

/** The failed probes, or cut connections, that met the same error. */
export interface ErrorGroup {
  readonly error: string
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
  readonly from: readonly string[]
}

export interface JournalFact extends JournalLine {
  readonly server: string
  /** Since the disturbance; undefined where the server's clock could not be put on the axis. */
  readonly sinceMs: number | undefined
}

export function factsOf(run: FailoverRun): RunFacts {
  const passed = run.drills.filter(drill => drill.verdict.verdict === 'passed').length
  return {
    ...run,
    problems: run.problems.map(clean),
    drills: run.drills.map(account => drillFacts(account, run.servers)),
    outcome: `${passed} of ${count(run.drills.length, 'drill')} passed`,
  }
}

function drillFacts(account: DrillAccount, servers: readonly string[]): DrillFacts {
  const { samples, about } = account
  const { findings, ...verdict } = account.verdict
  const endMs = endOf(samples)
  const beginMs = samples.reduce((least, sample) => Math.min(least, sample.kind === 'probe' ? sample.sentMs : sample.atMs), endMs)
  const disturbedMs = markAt(samples, 'disturbed')
  const zeroMs = disturbedMs ?? beginMs
  const since = (ms: number) => Math.round((ms - zeroMs) * 10) / 10
  const onAxis = (span: Span): Span => ({ ...span, fromMs: since(span.fromMs), toMs: since(span.toMs) })
  const failure = { fromMs: 0, toMs: since(markAt(samples, 'undone') ?? endMs) }
  const lanes = probeLanes(samples).map(({ from, probes }) => ({
    from,
    probes: probes.map(probe => ({ ...probe, atMs: since(probe.atMs), error: probe.error === undefined ? undefined : clean(probe.error) })),
  }))
  const kept = keptLanes(samples, endMs).map(lane => ({
    ...lane,
    spans: lane.spans.map(onAxis),
    cuts: lane.cuts.map(cut => ({ ...cut, atMs: since(cut.atMs), error: clean(cut.error) })),
  }))
  const maxOutageMs = about?.maxOutageMs
  const isSeen = samples.length > 0
  return {
    ...verdict,
    reasons: (findings.length > 0 ? findings.map(finding => finding.text) : verdict.reasons).map(clean),
    notes: verdict.notes.map(clean),
    title: clean(account.title),
    asked: clean(account.asked),
    maxOutageMs,
    summary: summaryOf(account.verdict),
    zero: disturbedMs === undefined ? 'beginning' : 'disturbance',
    axis: isSeen ? { fromMs: since(beginMs), toMs: since(endMs) } : undefined,
    marks: samples.flatMap(sample =>
      sample.kind === 'mark' ? [{ mark: sample.mark, atMs: since(sample.atMs), server: sample.server }] : [],
    ),
    lanes: (isSeen ? servers : []).map(server => {
      const lane = serverLane(samples, server, { vip: verdict.vip, units: DRILL_UNITS, fromMs: beginMs, toMs: endMs })
      return {
        server,
        holds: lane.holds.map(onAxis),
        units: Object.fromEntries(Object.entries(lane.units).map(([unit, spans]) => [unit, spans.map(onAxis)])),
        silences: lane.silences.map(onAxis),
      }
    }),
    looks: samples.flatMap(sample => (sample.kind === 'holder' ? [{ ...sample, atMs: since(sample.atMs) }] : [])),
    probeLanes: lanes,
    keptLanes: kept,
    connectionEvents: samples.flatMap(sample =>
      sample.kind === 'connection'
        ? [{ ...sample, atMs: since(sample.atMs), error: sample.error === undefined ? undefined : clean(sample.error) }]
        : [],
    ),
    interruptions: lanes.flatMap(lane => interruptionsOf(lane, failure)).sort((a, b) => a.fromMs - b.fromMs),
    errors: errorGroups(lanes.flatMap(({ from, probes }) => probes.map(({ atMs, error }) => ({ from, atMs, error })))),
    cuts: errorGroups(kept.flatMap(({ from, cuts }) => cuts.map(({ atMs, error }) => ({ from, atMs, error })))),
    journal: account.journals.flatMap(journal => journalFacts(journal, account, since)).sort((a, b) => timeOf(a) - timeOf(b)),
    journalGaps: account.journals.flatMap(gapsOf),
  }
}

function clean(text: string): string {
  return inertText(maskSecrets(text))
}

/** "srv-1 -> srv-2, outage 310 ms, 12 of 640 probes lost; at the end on srv-1, outage 0 ms on the way". */
function summaryOf(verdict: Verdict): string {
  if (!wasRun(verdict)) return 'not run'
  const { from, to, outageMs, failedProbes, probes, failback, failbackOutageMs, restored } = verdict
  const outage = (ms: number | undefined) => (ms === undefined ? 'an outage that did not end' : `outage ${formatMs(ms)}`)
  const move = `${from ?? 'nobody'} -> ${to ?? 'nobody'}`
  const taken = `${move}, ${outageMs === undefined ? endlessOutage(to) : outage(outageMs)}`
  const back = failback === undefined ? '' : `; at the end on ${failback}, ${outage(failbackOutageMs)} on the way`
  const { connections, connectionsCut = 0 } = verdict
  const cut = connections === undefined ? '' : `, ${connectionsCut} of ${count(connections, 'long-lived connection')} cut`
  return `${taken}, ${failedProbes} of ${count(probes, 'probe')} lost${cut}${back}${restored ? '' : '; NOT RESTORED'}`
}

interface Failure {
  readonly from: string
  readonly atMs: number
  /** undefined: it did not fail. */
  readonly error: string | undefined
}

function errorGroups(failures: readonly Failure[]): readonly ErrorGroup[] {
  const groups = new Map<string, ErrorGroup>()
  for (const { from, error, atMs } of failures) {
    if (error === undefined) continue
    const group = groups.get(error) ?? { error, count: 0, firstMs: atMs, lastMs: atMs, from: [] }
    groups.set(error, {
      error,
      count: group.count + 1,
      firstMs: Math.min(group.firstMs, atMs),
      lastMs: Math.max(group.lastMs, atMs),
      from: group.from.includes(from) ? group.from : [...group.from, from],
    })
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

function journalFacts(journal: ServerJournal, { samples }: DrillAccount, since: (ms: number) => number): readonly JournalFact[] {
  const { server, bootedAtMs } = journal
  const offset = uptimeOffset(samples, server)
  return journal.lines.map(({ atMs, source, message }) => ({
    server,
    atMs,
    sinceMs: bootedAtMs === undefined || offset === undefined ? undefined : since(atMs - bootedAtMs + offset),
    source: clean(source),
    message: clean(message),
  }))
}

/** Lines that are not on the axis come after those that are. */
function timeOf({ sinceMs, atMs }: JournalFact): number {
  return sinceMs ?? atMs
}

function gapsOf({ server, isCut, problem, lines }: ServerJournal): readonly string[] {
  if (problem !== undefined) return [`the journal of ${server} could not be read: ${clean(problem)}`]
  return isCut ? [`${server} logged more: these are its last ${count(lines.length, 'line')}`] : []
}

/** "1 of 4 cut"; undefined where none were held. */
export function keptText({ connections, connectionsCut }: Pick<Verdict, 'connections' | 'connectionsCut'>): string | undefined {
  return connections === undefined ? undefined : `${connectionsCut ?? 0} of ${connections} cut`
}

/** "1 RST, 2 silence"; empty where it is not known who cut them. */
export function cutByText({ connectionsCutBy }: Pick<Verdict, 'connectionsCutBy'>): string {
  return Object.entries(connectionsCutBy ?? {})
    .flatMap(([by, cut]) => (by === 'unknown' ? [] : [`${cut} ${by}`]))
    .join(', ')
}

/** The places that probes came from, one row each; empty where all came from one. */
export function originRows({ origins = [] }: DrillFacts): readonly (readonly string[])[] {
  if (origins.length < 2) return []
  return origins.map(({ from, probes, failedProbes, outageMs }) => [
    from,
    `${failedProbes} of ${probes}`,
    outageMs === undefined ? 'to the end' : `${outageMs} ms`,
  ])
}

export const ORIGIN_HEAD: readonly string[] = ['asked from', 'probes lost', 'outage']

/** The head of the table of all drills. */
export const SUMMARY_HEAD: readonly string[] = [
  'drill',
  'address',
  'verdict',
  'moved',
  'outage',
  'probes lost',
  'connections',
  'holders',
  'at the end',
  'restored',
]

/** One drill's row of it. */
export function summaryRow(drill: DrillFacts): readonly string[] {
  const isRun = wasRun(drill)
  const isOther = drill.predicted !== undefined && drill.to !== undefined && drill.predicted !== drill.to
  return [
    drill.drill,
    drill.vip,
    drill.verdict,
    isRun ? `${drill.from ?? 'nobody'} -> ${drill.to ?? 'nobody'}${isOther ? ` (predicted: ${drill.predicted})` : ''}` : '-',
    drill.outageMs === undefined ? '-' : `${drill.outageMs} ms`,
    isRun ? `${drill.failedProbes} of ${drill.probes}` : '-',
    keptText(drill) ?? '-',
    isRun ? String(drill.holdersMax) : '-',
    drill.failback ?? '-',
    drill.restored ? 'yes' : 'NO',
  ]
}
