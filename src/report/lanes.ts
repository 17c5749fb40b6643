/** The states over time of each server, each place that probes came from and each long-lived connection, as spans on one axis. */
import { alignHolders, holdIntervals, probesOf, SILENT_AFTER_MS, type Window } from '../domain/failover/timeline.ts'
import type { ConnectionSample, HolderSample, Sample } from '../state/drill.ts'

/** A state that lasted from the first look that showed it to the last. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
  readonly state: string
}

export interface ServerLane {
  readonly server: string
  /** When it held the address, by what was seen. */
  readonly holds: readonly Span[]
  /** systemd's ActiveState over time, by unit; "unknown" where no look shows it. */
  readonly units: Readonly<Record<string, readonly Span[]>>
  /** When nothing is known about the server: "unreachable" where its connection was lost, "silent" where only samples are missing. */
  readonly silences: readonly Span[]
}

interface Probe {
  /** When it was sent. */
  readonly atMs: number
  readonly tookMs: number
  readonly ok: boolean
  readonly error: string | undefined
}

export interface ProbeLane {
  /** "controller" or the name of a server. */
  readonly from: string
  readonly probes: readonly Probe[]
}

/** A long-lived connection, and those that were opened in its place. */
export interface KeptLane {
  readonly from: string
  readonly id: number
  /** "kept-alive 1"; "connection 1" in a recording that does not say what it was used for. */
  readonly name: string
  /** From each opening to its end, or to the last thing seen. */
  readonly spans: readonly Span[]
  readonly cuts: readonly Cut[]
}

interface Cut {
  readonly atMs: number
  /** Who cut it, and what the client met: "RST: ECONNRESET". */
  readonly error: string
}

/** Nobody answered: from the sending of the last good probe to the sending of the next. */
export interface Interruption {
  readonly from: string
  readonly fromMs: number
  /** undefined: nobody answered again. */
  readonly toMs: number | undefined
  readonly failedProbes: number
  /** When its first probe failed. */
  readonly phase: 'before' | 'failure' | 'way back'
}

/** The lane of one server; all times as the samples have them. */
export function serverLane(
  samples: readonly Sample[],
  server: string,
  watch: { readonly vip: string; readonly units: readonly string[]; readonly fromMs: number; readonly toMs: number },
): ServerLane {
  const own = samples.filter(sample => sample.kind === 'holder' && sample.server === server)
  const looks = alignHolders(own)
  return {
    server,
    holds: holdIntervals(own, watch.vip).map(({ fromMs, toMs }) => ({ fromMs, toMs, state: 'held' })),
    units: Object.fromEntries(watch.units.map(unit => [unit, unitSpans(looks, unit, watch.toMs)])),
    silences: looks.length === 0 ? [{ fromMs: watch.fromMs, toMs: watch.toMs, state: 'silent' }] : silencesOf(looks, watch.toMs),
  }
}

/** A state lasts until the look that shows another state, or until the server falls silent. */
function unitSpans(looks: readonly HolderSample[], unit: string, endMs: number): readonly Span[] {
  const spans: Span[] = []
  looks.forEach((look, index) => {
    if (!look.reachable) return
    const state = look.units[unit] ?? 'unknown'
    const nextMs = looks[index + 1]?.atMs ?? endMs
    const toMs = nextMs - look.atMs > SILENT_AFTER_MS ? look.atMs : nextMs
    const last = spans.at(-1)
    if (last?.state === state && last.toMs === look.atMs) spans[spans.length - 1] = { ...last, toMs }
    else spans.push({ fromMs: look.atMs, toMs, state })
  })
  return spans
}

function silencesOf(looks: readonly HolderSample[], endMs: number): readonly Span[] {
  const spans: Span[] = []
  looks.forEach((look, index) => {
    const nextMs = looks[index + 1]?.atMs ?? endMs
    if (look.reachable && nextMs - look.atMs <= SILENT_AFTER_MS) return
    const last = spans.at(-1)
    const state = look.reachable ? 'silent' : 'unreachable'
    if (last?.toMs === look.atMs) spans[spans.length - 1] = { fromMs: last.fromMs, toMs: nextMs, state }
    else spans.push({ fromMs: look.atMs, toMs: nextMs, state })
  })
  return spans
}

/** The probes by the place that they came from, in the order in which they were sent. */
export function probeLanes(samples: readonly Sample[]): readonly ProbeLane[] {
  const lanes = new Map<string, Probe[]>()
  for (const { from, sentMs, tookMs, ok, error } of probesOf(samples)) {
    const probes = lanes.get(from) ?? []
    lanes.set(from, probes)
    probes.push({ atMs: sentMs, tookMs, ok, error: ok ? undefined : (error ?? 'unknown') })
  }
  return [...lanes].map(([from, probes]) => ({ from, probes }))
}

/** One lane for each long-lived connection. */
export function keptLanes(samples: readonly Sample[], endMs: number): readonly KeptLane[] {
  const kept = samples.filter(sample => sample.kind === 'connection')
  return [...new Set(kept.map(sample => sample.from))].flatMap(from => {
    const ofPlace = kept.filter(sample => sample.from === from)
    const ids = [...new Set(ofPlace.map(sample => sample.id))].toSorted((a, b) => a - b)
    return ids.map(id => {
      const own = ofPlace.filter(sample => sample.id === id)
      return {
        from,
        id,
        name: `${own[0]?.use ?? 'connection'} ${id + 1}`,
        spans: connectionSpans(own, endMs),
        cuts: own.flatMap(sample => (sample.event === 'cut' ? [{ atMs: sample.atMs, error: cutText(sample) }] : [])),
      }
    })
  })
}

function cutText({ by, error = 'unknown' }: ConnectionSample): string {
  return by === undefined ? error : `${by}: ${error}`
}

function connectionSpans(samples: readonly ConnectionSample[], endMs: number): readonly Span[] {
  return samples.flatMap(({ event, atMs }, index) =>
    event === 'opened' ? [{ fromMs: atMs, toMs: samples[index + 1]?.atMs ?? endMs, state: 'open' }] : [],
  )
}

/** Every run of failed probes; `failure` is the time from the disturbance to its undo. */
export function interruptionsOf(lane: ProbeLane, failure: Window): readonly Interruption[] {
  const found: Interruption[] = []
  let lastGood: number | undefined
  let failed: Probe[] = []
  const close = (toMs: number | undefined) => {
    const [first] = failed
    if (first === undefined) return
    const phase = first.atMs < failure.fromMs ? 'before' : first.atMs < failure.toMs ? 'failure' : 'way back'
    found.push({ from: lane.from, fromMs: lastGood ?? first.atMs, toMs, failedProbes: failed.length, phase })
    failed = []
  }
  for (const probe of lane.probes) {
    if (!probe.ok) {
      failed.push(probe)
      continue
    }
    close(probe.atMs)
    lastGood = probe.atMs
  }
  close(undefined)
  return found
}

/** The offset from a server's uptime to the samples' axis, by its last boot; undefined where no sample shows it. */
export function uptimeOffset(samples: readonly Sample[], server: string): number | undefined {
  let offset: number | undefined
  let later: number | undefined
  for (const sample of samples.toReversed()) {
    if (sample.kind !== 'holder' || sample.server !== server || sample.uptimeMs === undefined) continue
    if (later !== undefined && sample.uptimeMs > later) break
    later = sample.uptimeMs
    offset = Math.min(offset ?? Number.POSITIVE_INFINITY, sample.atMs - sample.uptimeMs)
  }
  return offset
}
