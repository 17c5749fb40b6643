/** What a drill's samples show: how long nobody answered, who held the address when, and for how long two servers did. */
import type { HolderSample, Mark, ProbeSample, Sample } from '../../state/drill.ts'

/** From (inclusive) to (exclusive), in ms on the samples' axis. */
export interface Window {
  readonly fromMs: number
  readonly toMs: number
}

/** A server had the address in every one of its samples from `fromMs` to `toMs`. */
export interface HoldInterval {
  readonly server: string
  readonly fromMs: number
  readonly toMs: number
}

/** Who holds an address, by the latest sample of each server. `silent` servers have sent none recently. */
export interface Holders {
  readonly holders: readonly string[]
  readonly silent: readonly string[]
}

/** A server that sent nothing for this long is silent: it is not known what it holds. */
export const SILENT_AFTER_MS = 1000

export function probesOf(samples: readonly Sample[]): readonly ProbeSample[] {
  return samples.filter(sample => sample.kind === 'probe').sort((a, b) => a.sentMs - b.sentMs)
}

/** The first mark of that word. */
export function markAt(samples: readonly Sample[], mark: Mark['mark']): number | undefined {
  return marksOf(samples, mark)[0]?.atMs
}

export function marksOf(samples: readonly Sample[], mark: Mark['mark']): readonly Mark[] {
  return samples.filter((sample): sample is Mark => sample.kind === 'mark' && sample.mark === mark)
}

/** The end of the last sample; 0 where there is none. */
export function endOf(samples: readonly Sample[]): number {
  return samples.reduce((end, sample) => Math.max(end, sample.kind === 'probe' ? sample.sentMs + sample.tookMs : sample.atMs), 0)
}

/**
 * The longest time in ms that a user would have been without an answer: from the sending of the last good probe to the
 * sending of the next good one, over the runs of failed probes that start inside the window. Two short breaks are not
 * one long one. 0 when no probe failed there, undefined when one of the runs never ended.
 * Probes from different places are runs of their own.
 * `withUnderWay`: a run that began before the window and reaches into it counts, too. Some probes are on their way when something is disturbed, and
 * the first of them to fail was sent before.
 */
export function outageOf(
  probes: readonly ProbeSample[],
  window: Window = { fromMs: -Infinity, toMs: Infinity },
  withUnderWay = false,
): number | undefined {
  const counts = (firstMs: number, endMs: number) =>
    isInside(window, firstMs) || (withUnderWay && firstMs < window.fromMs && endMs > window.fromMs)
  let longest = 0
  for (const from of new Set(probes.map(probe => probe.from))) {
    let lastGood: number | undefined
    let firstFailed: number | undefined
    for (const probe of probes.filter(p => p.from === from).sort((a, b) => a.sentMs - b.sentMs)) {
      if (!probe.ok) {
        firstFailed ??= probe.sentMs
        continue
      }
      if (firstFailed !== undefined && counts(firstFailed, probe.sentMs))
        longest = Math.max(longest, probe.sentMs - (lastGood ?? firstFailed))
      lastGood = probe.sentMs
      firstFailed = undefined
    }
    if (firstFailed !== undefined && counts(firstFailed, Infinity)) return undefined
  }
  return longest
}

/** The same during the drill, from `fromMs` on: a run of failed probes that has not ended yet lasts until now. */
export function outageSoFar(probes: readonly ProbeSample[], fromMs: number, nowMs: number): number {
  let longest = 0
  for (const from of new Set(probes.map(probe => probe.from))) {
    const own = probes.filter(probe => probe.from === from)
    const ended = outageOf(own, { fromMs, toMs: Infinity }, true)
    const lastGoodMs = own.findLast(probe => probe.ok)?.sentMs ?? fromMs
    longest = Math.max(longest, ended ?? nowMs - lastGoodMs)
  }
  return longest
}

/**
 * The samples on one time axis: a server's samples are spaced as the server took them, not as the network delivered them.
 * Within one boot, the sample that arrived fastest gives the offset between the server's uptime and the controller's clock.
 */
export function alignHolders(samples: readonly Sample[]): readonly HolderSample[] {
  const aligned: HolderSample[] = []
  for (const boot of bootsOf(samples)) {
    const offset = boot.reduce((min, { atMs, uptimeMs }) => (uptimeMs === undefined ? min : Math.min(min, atMs - uptimeMs)), Infinity)
    for (const sample of boot) aligned.push(sample.uptimeMs === undefined ? sample : { ...sample, atMs: sample.uptimeMs + offset })
  }
  return aligned.sort((a, b) => a.atMs - b.atMs)
}

/**
 * Between which samples each server held the address. Only what was seen counts: an interval ends at the last sample
 * that showed the address, and during a silence nothing is known.
 */
export function holdIntervals(samples: readonly Sample[], vip: string): readonly HoldInterval[] {
  const open = new Map<string, HoldInterval>()
  const closed: HoldInterval[] = []
  for (const sample of alignHolders(samples)) {
    const current = open.get(sample.server)
    const holds = sample.reachable && sample.holds.includes(vip)
    if (current !== undefined && (!holds || sample.atMs - current.toMs > SILENT_AFTER_MS)) {
      closed.push(current)
      open.delete(sample.server)
    }
    if (!holds) continue
    const still = open.get(sample.server)
    open.set(sample.server, { server: sample.server, fromMs: still?.fromMs ?? sample.atMs, toMs: sample.atMs })
  }
  return [...closed, ...open.values()].sort((a, b) => a.fromMs - b.fromMs)
}

/** The most servers that had the address at any time, the longest that more than one had it without a break, and when that ended last, in ms. */
export function holdersOverlap(intervals: readonly HoldInterval[]): {
  readonly most: number
  readonly longestMs: number
  readonly lastMs: number | undefined
} {
  // At one moment, arrivals come before departures: intervals that touch do overlap.
  const edges = intervals
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, step: 1 },
      { atMs: toMs, step: -1 },
    ])
    .sort((a, b) => a.atMs - b.atMs || b.step - a.step)
  let holders = 0
  let most = 0
  let longestMs = 0
  let since = 0
  let lastMs: number | undefined
  for (const { atMs, step } of edges) {
    if (step === 1 && holders === 1) since = atMs
    if (step === -1 && holders === 2) {
      longestMs = Math.max(longestMs, atMs - since)
      lastMs = atMs
    }
    holders += step
    most = Math.max(most, holders)
  }
  return { most, longestMs, lastMs }
}

/** Make before break lets two servers hold the address for a moment by design. Longer than this is a split brain. */
export const TWO_HOLDERS_AFTER_MS = 1000

/** Whether two servers had the address inside the window for longer than a move by design explains. */
export function hadTwoHolders(intervals: readonly HoldInterval[], { fromMs, toMs }: Window): boolean {
  return holdersOverlap(intervals.filter(held => held.fromMs < toMs && held.toMs >= fromMs)).longestMs > TWO_HOLDERS_AFTER_MS
}

/** Who holds the address at a moment, by the latest sample of each of the servers. */
export function holdersAt(samples: readonly Sample[], vip: string, servers: readonly string[], atMs: number): Holders {
  const latest = new Map<string, HolderSample>()
  for (const sample of samples) {
    if (sample.kind !== 'holder' || sample.atMs > atMs) continue
    const known = latest.get(sample.server)
    if (known === undefined || known.atMs <= sample.atMs) latest.set(sample.server, sample)
  }
  const holders: string[] = []
  const silent: string[] = []
  for (const server of servers) {
    const sample = latest.get(server)
    if (sample === undefined || !sample.reachable || atMs - sample.atMs > SILENT_AFTER_MS) silent.push(server)
    else if (sample.holds.includes(vip)) holders.push(server)
  }
  return { holders, silent }
}

function isInside(window: Window, atMs: number): boolean {
  return atMs >= window.fromMs && atMs < window.toMs
}

/** Each server's samples, split where its uptime fell, because the server booted there. */
function bootsOf(samples: readonly Sample[]): readonly (readonly HolderSample[])[] {
  const boots = new Map<string, HolderSample[][]>()
  for (const sample of samples) {
    if (sample.kind !== 'holder') continue
    const ofServer = boots.get(sample.server) ?? []
    boots.set(sample.server, ofServer)
    const current = ofServer.at(-1)
    const before = current?.findLast(s => s.uptimeMs !== undefined)?.uptimeMs
    if (current === undefined || (before !== undefined && sample.uptimeMs !== undefined && sample.uptimeMs < before))
      ofServer.push([sample])
    else current.push(sample)
  }
  return [...boots.values()].flat()
}
