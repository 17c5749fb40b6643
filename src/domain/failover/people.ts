/** What became of the long-lived connections of a drill. */
import type { ConnectionSample, Sample } from '../../state/drill.ts'
import { markAt } from './timeline.ts'
import type { DrillCase, Finding } from './verdict.ts'

type Cut = ConnectionSample & { readonly event: 'cut' }

function cutsOf(samples: readonly Sample[]): readonly Cut[] {
  return samples.filter((sample): sample is Cut => sample.kind === 'connection' && sample.event === 'cut')
}

export interface PeopleCounts {
  readonly connections: number | undefined
  readonly connectionsCut: number | undefined
  readonly connectionsCutBy: Readonly<Record<string, number>> | undefined
}

/** undefined where no connection could be opened. */
export function peopleCounts(samples: readonly Sample[]): PeopleCounts {
  const all = samples.filter(sample => sample.kind === 'connection')
  if (all.length === 0) return { connections: undefined, connectionsCut: undefined, connectionsCutBy: undefined }
  const cuts = cutsOf(samples)
  const by: Record<string, number> = {}
  for (const cut of cuts) by[cut.by ?? 'unknown'] = (by[cut.by ?? 'unknown'] ?? 0) + 1
  return {
    connections: all.filter(sample => sample.event === 'opened').length,
    connectionsCut: cuts.length,
    connectionsCutBy: cuts.length === 0 ? undefined : by,
  }
}

/** One for each way in which connections were cut that the cluster promises to keep. What ended before the disturbance is not its fault. */
export function peopleFindings(about: DrillCase, samples: readonly Sample[]): readonly Finding[] {
  if (about.keepsConnections !== true) return []
  const disturbedMs = markAt(samples, 'disturbed') ?? Infinity
  return cutTexts(
    cutsOf(samples).filter(cut => cut.atMs >= disturbedMs),
    disturbedMs,
  ).map(text => ({
    code: 'E_FAILOVER_SLOW',
    text: `${text}; this cluster keeps open connections when ${about.vip} moves as planned`,
  }))
}

/** The same where nothing is promised: it changes no verdict. */
export function peopleNotes(about: DrillCase, samples: readonly Sample[]): readonly string[] {
  const disturbedMs = markAt(samples, 'disturbed') ?? Infinity
  const [before, after] = [cutsOf(samples).filter(cut => cut.atMs < disturbedMs), cutsOf(samples).filter(cut => cut.atMs >= disturbedMs)]
  return [
    ...(before.length === 0 ? [] : [`${cutCount(before.length)} before anything was disturbed`]),
    ...(about.keepsConnections === false ? cutTexts(after, disturbedMs).map(text => `${text}, as predicted`) : []),
  ]
}

const WHO: Readonly<Record<string, string>> = {
  RST: 'by a reset (RST): a server that does not know the connection, or the end of the process that had it',
  FIN: 'by an end (FIN) in the middle of its use: the process that had the connection closed it',
  silence: 'by silence: no server answered',
}

function cutTexts(cuts: readonly Cut[], disturbedMs: number): readonly string[] {
  return [...new Set(cuts.map(cut => cut.by ?? 'unknown'))].map(by => {
    const own = cuts.filter(cut => (cut.by ?? 'unknown') === by)
    const [first, last] = [Math.min(...own.map(cut => cut.atMs)), Math.max(...own.map(cut => cut.atMs))]
    const seconds = (ms: number) => ((ms - disturbedMs) / 1000).toFixed(2)
    const when = seconds(first) === seconds(last) ? `${seconds(first)} s` : `${seconds(first)} s to ${seconds(last)} s`
    return `${cutCount(own.length)} ${WHO[by] ?? 'by something unknown'}, ${when} after the disturbance`
  })
}

function cutCount(count: number): string {
  return count === 1 ? '1 long-lived connection was cut' : `${count} long-lived connections were cut`
}
