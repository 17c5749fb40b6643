/** When a phase of a drill is over: judged while the samples come in, so that no drill waits longer than it must. */
import type { Sample } from '../../state.ts'
import type { DrillCase } from './judge.ts'
import { holdersAt, holdIntervals, markAt, probesOf, SILENT_AFTER_MS } from './timeline.ts'

/** The address must stay where it is, and every probe be good, for this long. */
export const SETTLE_MS = 1000
/** A drill in which the address may stay where it is watches for this long before it believes so. */
export const WATCH_MS = 5000
/** An address that does not go home by itself is watched for this long after the undo. */
export const STAY_MS = 3000

/** Why the drill must not begin, by what was seen before it; empty where all is well. */
export function baselineProblems(
  about: Pick<DrillCase, 'vip' | 'from' | 'servers'>,
  samples: readonly Sample[],
  nowMs: number,
): readonly string[] {
  const problems: string[] = []
  const probes = probesOf(samples)
  const failed = probes.filter(probe => !probe.ok)
  if (probes.length === 0) problems.push(`no probe of ${about.vip} has come back yet`)
  if (failed.length > 0) {
    problems.push(
      `${failed.length} of ${probes.length} probes of ${about.vip} failed before anything was disturbed: ${failed.at(-1)?.error ?? ''}`,
    )
  }
  const { holders, silent } = holdersAt(samples, about.vip, about.servers, nowMs)
  for (const server of silent) problems.push(`${server} does not report what it holds`)
  if (holders.length !== 1 || holders[0] !== about.from) {
    problems.push(`${about.vip} should be on ${about.from} alone, and is on ${holders.length === 0 ? 'no server' : holders.join(' and ')}`)
  }
  return problems
}

/** Another server holds the address alone and it answers; or, where it may stay, it was watched for long enough. */
export function takeoverIsSettled(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  const disturbedMs = markAt(samples, 'disturbed')
  if (disturbedMs === undefined) return false
  const isWatched = nowMs - disturbedMs >= WATCH_MS
  switch (about.expect.taker) {
    case 'next':
      if (about.expect.holders === 2) return isWatched && haveTwoHolders(about, samples, nowMs)
      return isHeldSteadily(about, samples, nowMs, server => server !== about.from) && answersSteadily(samples, nowMs)
    case 'nobody':
    case 'either':
      return isWatched && answersSteadily(samples, nowMs)
  }
}

/** After the undo: the address is home, or stays where it is, and answers. */
export function failbackIsSettled(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  const restoredMs = markAt(samples, 'restored')
  if (restoredMs === undefined || nowMs - restoredMs < (about.goesHome ? SETTLE_MS : STAY_MS)) return false
  return isHeldSteadily(about, samples, nowMs, server => !about.goesHome || server === about.from) && answersSteadily(samples, nowMs)
}

/** One of the right servers, and nobody else, has held the address for the last SETTLE_MS. */
export function isHeldSteadily(
  about: Pick<DrillCase, 'vip' | 'servers'>,
  samples: readonly Sample[],
  nowMs: number,
  isRight: (server: string) => boolean,
): boolean {
  const { holders } = holdersAt(samples, about.vip, about.servers, nowMs)
  const holder = holders[0]
  if (holder === undefined || holders.length > 1 || !isRight(holder)) return false
  const latest = holdIntervals(samples, about.vip).findLast(interval => interval.server === holder)
  return latest !== undefined && nowMs - latest.fromMs >= SETTLE_MS && nowMs - latest.toMs <= SILENT_AFTER_MS
}

function haveTwoHolders(about: DrillCase, samples: readonly Sample[], nowMs: number): boolean {
  return holdersAt(samples, about.vip, about.servers, nowMs).holders.length > 1
}

/** All probes sent in the last SETTLE_MS that are answered were good, and there were some; none older was still bad. */
export function answersSteadily(samples: readonly Sample[], nowMs: number): boolean {
  const recent = probesOf(samples).filter(probe => probe.sentMs >= nowMs - SETTLE_MS)
  return recent.length > 0 && recent.every(probe => probe.ok)
}
