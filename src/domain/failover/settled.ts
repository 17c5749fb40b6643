/** When a phase of a drill is over. It is judged while the samples arrive, so that no drill waits longer than it must. */
import type { HolderSample, ProbeSample, Sample } from '../../state/drill.ts'
import { hadTwoHolders, holdersAt, holdIntervals, markAt, marksOf, probesOf, SILENT_AFTER_MS, type Window } from './timeline.ts'
import type { DrillCase } from './verdict.ts'

/** The address must stay where it is, and every probe must be good, for this long. */
const SETTLE_MS = 1000
/** A drill in which the address may stay where it is watches for this long before it takes that as the result. */
const WATCH_MS = 5000
/** An address that does not go home by itself is watched for this long after the undo. */
const STAY_MS = 3000
/**
 * This many probes in a row must be good before a drill, from each place that probes: half a second of them. On a way that loses 1 % of the
 * packets, one probe in 50 gets no answer in time, and such a run comes soon. Behind an address of which a part does not answer, none comes.
 */
const BASELINE_PROBES = 30

/** Why the drill must not start, by what was seen before it; empty where it may start. */
export function baselineProblems(
  about: Pick<DrillCase, 'vip' | 'from' | 'servers'>,
  samples: readonly Sample[],
  nowMs: number,
): readonly string[] {
  const problems: string[] = []
  const probes = latestProbes(samples)
  const failed = probes.filter(probe => !probe.ok)
  if (probes.length === 0) problems.push(`no probe of ${about.vip} has come back yet`)
  if (failed.length > 0) {
    problems.push(
      `${failed.length} of the last ${probes.length} probes of ${about.vip} failed before anything was disturbed: ${failed.at(-1)?.error ?? ''}`,
    )
  }
  const { holders, silent } = holdersAt(samples, about.vip, about.servers, nowMs)
  for (const server of silent) problems.push(`${server} does not report what it holds`)
  if (holders.length !== 1 || holders[0] !== about.from) {
    problems.push(`${about.vip} should be on ${about.from} alone, and is on ${holders.length === 0 ? 'no server' : holders.join(' and ')}`)
  }
  return problems
}

/** The last BASELINE_PROBES of each place that probes, in the order in which they ended: one that gets no answer ends long after it was sent. */
function latestProbes(samples: readonly Sample[]): readonly ProbeSample[] {
  const probes = probesOf(samples).toSorted((a, b) => endMs(a) - endMs(b))
  const places = [...new Set(probes.map(probe => probe.from))]
  return places.flatMap(from => probes.filter(probe => probe.from === from).slice(-BASELINE_PROBES))
}

/**
 * Another server alone holds the address, or has had it and given it back, and it answers. Where the address may stay or have two holders: it
 * was watched for long enough.
 */
export function takeoverIsSettled(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  const marks = marksOf(samples, 'disturbed')
  const latest = marks.at(-1)
  if (latest === undefined) return false
  const isWatched = nowMs - latest.atMs >= WATCH_MS
  const out = about.onEach === true ? marks.map(mark => mark.server) : [about.from]
  const { taker, holders } = about.expect
  const answers = () => answersSteadily(samples, { fromMs: latest.atMs, toMs: nowMs })
  if (taker !== 'next') return isWatched && answers()
  switch (holders) {
    case 1:
      return isHeldAnswering(about, samples, nowMs, server => !out.includes(server)) || hasComeBack(about, samples, nowMs, latest.atMs)
    case 2:
      return isWatched && hadTwoHolders(holdIntervals(samples, about.vip), { fromMs: latest.atMs, toMs: nowMs }) && answers()
    case 'either':
      return isWatched && haveOtherHolder(about, samples, nowMs, out) && answers()
  }
}

/**
 * What becomes of open connections is known: the address has moved away for good, or has moved and come back by itself, whether or not the
 * disturbance's own command has ended.
 */
export function moveIsJudged(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  return about.expect.taker === 'next' && takeoverIsSettled(about, samples, nowMs)
}

/** Who is disturbed next, where a drill goes from holder to holder: the one holder; undefined where it was disturbed already, or is not one. */
export function nextToDisturb(about: DrillCase, samples: readonly Sample[], nowMs: number): string | undefined {
  const { holders } = holdersAt(samples, about.vip, about.servers, nowMs)
  const [holder] = holders
  const isUntouched = marksOf(samples, 'disturbed').every(mark => mark.server !== holder)
  return holders.length === 1 && isUntouched ? holder : undefined
}

/** A server that is not disturbed and sends nothing for this long counts as down. A busy server is silent for less. */
const GONE_AFTER_MS = 5000
/** States that mean a failure of a service that the drill does not touch. */
const DOWN = ['failed', 'inactive']

/**
 * What failed during the drill on servers that it does not touch, one line each: the cluster may not survive both failures. `patience`: that
 * of the sessions.
 */
export function secondFaults(samples: readonly Sample[], servers: readonly string[], nowMs: number, patience: number): readonly string[] {
  const touched = samples.flatMap(sample => (sample.kind === 'mark' ? [sample.server] : []))
  return servers
    .filter(server => !touched.includes(server))
    .flatMap(server => {
      const word = samples.findLast(
        (sample): sample is HolderSample => sample.kind === 'holder' && sample.server === server && sample.reachable,
      )
      if (word === undefined || nowMs - word.atMs > GONE_AFTER_MS * patience)
        return [`${server} stopped reporting, although it was not disturbed`]
      return Object.entries(word.units)
        .filter(([, state]) => DOWN.includes(state))
        .map(([unit, state]) => `${unit} on ${server} is ${state}, although it was not disturbed`)
    })
}

/** After the undo: the address is back, or stays where it is, and answers. */
export function failbackIsSettled(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  const restoredMs = markAt(samples, 'restored')
  if (restoredMs === undefined || nowMs - restoredMs < (about.goesHome ? SETTLE_MS : STAY_MS)) return false
  return isHeldAnswering(about, samples, nowMs, server => !about.goesHome || server === about.from)
}

function isHeldAnswering(about: DrillCase, samples: readonly Sample[], nowMs: number, isRight: (server: string) => boolean): boolean {
  const fromMs = heldSteadilyFrom(about, samples, nowMs, isRight)
  return fromMs !== undefined && answersSteadily(samples, { fromMs, toMs: nowMs })
}

/** Since when one of the right servers, and no other server, has held the address; undefined where that is not so for SETTLE_MS. */
export function heldSteadilyFrom(
  about: Pick<DrillCase, 'vip' | 'servers'>,
  samples: readonly Sample[],
  nowMs: number,
  isRight: (server: string) => boolean,
): number | undefined {
  const { holders } = holdersAt(samples, about.vip, about.servers, nowMs)
  const holder = holders[0]
  if (holder === undefined || holders.length > 1 || !isRight(holder)) return undefined
  const latest = holdIntervals(samples, about.vip).findLast(interval => interval.server === holder)
  const isSteady = latest !== undefined && nowMs - latest.fromMs >= SETTLE_MS && nowMs - latest.toMs <= SILENT_AFTER_MS
  return isSteady ? latest.fromMs : undefined
}

/**
 * Another server has had the address since the disturbance, and the one that was disturbed has it again and answers before the undo: a restart of haproxy
 * ends by itself, on a fast server sooner than the next server was watched for long enough.
 */
function hasComeBack(about: DrillCase, samples: readonly Sample[], nowMs: number, sinceMs: number): boolean {
  if (about.onEach === true) return false
  const intervals = holdIntervals(samples, about.vip)
  const taken = intervals.find(({ server, toMs }) => server !== about.from && toMs >= sinceMs)
  const back = intervals.findLast(({ server }) => server === about.from)
  if (taken === undefined || back === undefined || back.fromMs <= taken.fromMs) return false
  return isHeldAnswering(about, samples, nowMs, server => server === about.from)
}

function haveOtherHolder(about: DrillCase, samples: readonly Sample[], nowMs: number, out: readonly string[]): boolean {
  return holdersAt(samples, about.vip, about.servers, nowMs).holders.some(server => !out.includes(server))
}

/**
 * Of the probes that were sent since `fromMs`, some have ended in the last SETTLE_MS before `toMs`, and all of those were good. A slow answer ends
 * long after its probe was sent; one that was sent before says nothing of a new holder.
 */
export function answersSteadily(samples: readonly Sample[], { fromMs, toMs }: Window): boolean {
  const recent = probesOf(samples).filter(probe => probe.sentMs >= fromMs && endMs(probe) >= toMs - SETTLE_MS)
  return recent.length > 0 && recent.every(probe => probe.ok)
}

function endMs({ sentMs, tookMs }: ProbeSample): number {
  return sentMs + tookMs
}
