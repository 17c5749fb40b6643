/** What a drill watches while it runs, and the event that shows it. */
import type { HolderSample, Mark, Sample } from '../state/drill.ts'
import type { DrillRun } from './drill-run.ts'
import { drillWatchMs } from './limits.ts'
import type { WatchersRun } from './watchers.ts'

/** Probes per second are counted over this long, by when they ended: a slow answer ends long after its probe was sent. */
const RATE_OVER_MS = 1000

/** Everything that is seen is added to the run's samples. */
export function drillWatch(run: DrillRun): WatchersRun {
  const { clock, samples, links, look, sendProbes, longLived } = run
  const onSample = (sample: Sample) => samples.push(sample)
  return {
    links,
    clock,
    look: { vips: look.vips, units: look.units, trackers: look.trackers },
    boundMs: drillWatchMs(run.limits, run.rounds, links.patience),
    onHolder: onSample,
    others: [
      watch => sendProbes({ ...watch, onSample }),
      // The verdict says so where no connection could be opened; that stops no drill.
      ...(longLived === undefined
        ? []
        : [({ stop }: { readonly stop: AbortSignal }) => longLived.hold({ clock, stop, onSample }).catch(() => undefined)]),
    ],
  }
}

/** Sends the samples so far as one event; none while the watchers have only started. */
export function tellDrill(run: DrillRun, nowMs: number): void {
  const { samples } = run
  const disturbed = samples.find((sample): sample is Mark => sample.kind === 'mark' && sample.mark === 'disturbed')
  const holds: Record<string, boolean | undefined> = {}
  const units: Record<string, Readonly<Record<string, string>>> = {}
  for (const server of run.links.servers) {
    const latest = samples.findLast((sample): sample is HolderSample => sample.kind === 'holder' && sample.server === server)
    const isKnown = latest?.reachable === true && nowMs - latest.atMs <= run.decide.silentAfterMs
    holds[server] = isKnown ? latest.holds.includes(run.vip) : undefined
    if (isKnown) units[server] = latest.units
  }
  // The watchers have only started.
  if (disturbed === undefined && Object.keys(units).length < run.links.servers.length) return
  let probesOk = 0
  let probesFailed = 0
  let recent = 0
  for (const sample of samples) {
    if (sample.kind !== 'probe') continue
    if (sample.ok) probesOk++
    else probesFailed++
    if (sample.sentMs + sample.tookMs > nowMs - RATE_OVER_MS) recent++
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
