/** What a drill sees while it runs: every server's own word, the probes, and what the operator is told of them. */
import type { HolderSample, Mark, Sample } from '../state/drill.ts'
import type { DrillRun } from './drill-run.ts'
import { drillWatchMs } from './limits.ts'
import { lookEvery, startWatchers, type Watchers } from './watchers.ts'

const LOOK_EVERY_MS = 100
const TELL_EVERY_MS = 250
/** A server that was silent for this long is shown as such. */
const SILENT_AFTER_MS = 1000
/** Probes per second are counted over this long. */
const RATE_OVER_MS = 1000

export interface Watching extends Watchers {
  /** Grows while the drill runs. */
  readonly samples: Sample[]
  mark(mark: Mark['mark'], server: string): void
}

export function startWatching(run: DrillRun): Watching {
  const { clock, samples, links, look, holdConnections } = run
  const onSample = (sample: Sample) => samples.push(sample)
  const watchers = startWatchers({
    links,
    clock,
    look: { vips: look.vips, units: look.units, trackers: look.trackers },
    boundMs: drillWatchMs(run.limits, run.rounds, links.patience),
    onHolder: onSample,
    others: [
      watch => run.sendProbes({ ...watch, onSample }),
      // Connections that nobody could open are told in the verdict, and stop no drill.
      ...(holdConnections === undefined
        ? []
        : [(watch: { readonly stop: AbortSignal }) => holdConnections({ ...watch, onSample }).catch(() => undefined)]),
    ],
  })
  return { ...watchers, samples, mark: (mark, server) => samples.push({ kind: 'mark', mark, atMs: clock.monotonic(), server }) }
}

/** Looks at the samples until `isDone` or the limit; whether it was done. Throws what stops the drill: an abort, a watcher that failed. */
export async function lookUntil(run: DrillRun, watch: Watching, limitMs: number, isDone: (nowMs: number) => boolean): Promise<boolean> {
  const { clock, signal } = run
  let toldMs = Number.NEGATIVE_INFINITY
  return lookEvery(watch, { clock, signal, everyMs: LOOK_EVERY_MS, limitMs }, nowMs => {
    if (nowMs - toldMs >= TELL_EVERY_MS) {
      tell(run, watch.samples, nowMs)
      toldMs = nowMs
    }
    return isDone(nowMs)
  })
}

function tell(run: DrillRun, samples: readonly Sample[], nowMs: number): void {
  const disturbed = samples.find((sample): sample is Mark => sample.kind === 'mark' && sample.mark === 'disturbed')
  const holds: Record<string, boolean | undefined> = {}
  const units: Record<string, Readonly<Record<string, string>>> = {}
  for (const server of run.links.servers) {
    const latest = samples.findLast((sample): sample is HolderSample => sample.kind === 'holder' && sample.server === server)
    const isKnown = latest?.reachable === true && nowMs - latest.atMs <= SILENT_AFTER_MS
    holds[server] = isKnown ? latest.holds.includes(run.vip) : undefined
    if (isKnown) units[server] = latest.units
  }
  // The watchers have only begun.
  if (disturbed === undefined && Object.keys(units).length < run.links.servers.length) return
  let probesOk = 0
  let probesFailed = 0
  let recent = 0
  for (const sample of samples) {
    if (sample.kind !== 'probe') continue
    if (sample.ok) probesOk++
    else probesFailed++
    if (sample.sentMs > nowMs - RATE_OVER_MS) recent++
  }
  run.onEvent({
    kind: 'drill-sample',
    drill: run.drill,
    vip: run.vip,
    atMs: disturbed === undefined ? undefined : nowMs - disturbed.atMs,
    holds,
    units,
    probesOk,
    probesFailed,
    probesPerSecond: Math.round((recent * 1000) / RATE_OVER_MS),
    outageMs: Math.round(run.decide.outageSoFar(samples, nowMs)),
  })
}
