/** What a drill sees while it runs: every server's own word, the probes, and what the operator is told of them. */
import type { HolderSample, Mark, Sample } from '../state/drill.ts'
import type { DrillRun } from './drill.ts'
import { runSampler } from './sampler.ts'

/** The watchers need a moment to begin; a baseline that is not good by then refuses the drill. */
export const BASELINE_LIMIT_MS = 6000
const LOOK_EVERY_MS = 100
/** The last probes have a second each, and a remote script some time to be told. */
const WATCHERS_END_MS = 3000
const TELL_EVERY_MS = 250
/** A server that was silent for this long is shown as such. */
const SILENT_AFTER_MS = 1000
/** Probes per second are counted over this long. */
const RATE_OVER_MS = 1000

export interface Watching {
  /** Grows while the drill runs. */
  readonly samples: Sample[]
  mark(mark: Mark['mark'], server: string): void
  /** Throws what made a watcher stop, if anything did. */
  assertWatching(): void
  end(): Promise<void>
}

export function startWatching(run: DrillRun): Watching {
  const { clock, samples } = run
  const stop = new AbortController()
  let fault: unknown
  const failed = (error: unknown) => {
    fault ??= error
  }
  const { takeoverMs, failbackMs, undoAfterMs, bootMs } = run.limits
  const boundMs = BASELINE_LIMIT_MS + takeoverMs * run.rounds + undoAfterMs + failbackMs + bootMs + 30_000
  const samplers = run.links.servers.map(server =>
    runSampler({
      session: run.links.current(server),
      reconnect: (lost, signal) => run.links.renew(lost, signal),
      watch: { vips: run.look.vips, units: run.look.units, trackers: run.look.trackers, boundMs },
      clock,
      stop: stop.signal,
      onSample: sample => samples.push(sample),
    }).catch(failed),
  )
  const watch = { stop: stop.signal, boundMs, onSample: (sample: Sample) => samples.push(sample) }
  const prober = run.sendProbes(watch).catch(failed)
  // Connections that nobody could open are told in the verdict, and stop no drill.
  const holder = run.holdConnections?.(watch).catch(() => undefined)
  return {
    samples,
    mark: (mark, server) => samples.push({ kind: 'mark', mark, atMs: clock.monotonic(), server }),
    assertWatching() {
      if (fault !== undefined) throw fault
    },
    async end() {
      stop.abort()
      // A watcher that does not end must not keep the verdict, or an interrupt, waiting.
      await Promise.race([Promise.all([...samplers, prober, holder]), clock.sleep(WATCHERS_END_MS)])
    },
  }
}

/** Looks at the samples until `isDone` or the limit; whether it was done. Throws what stops the drill: an abort, a watcher that failed. */
export async function lookUntil(run: DrillRun, watch: Watching, limitMs: number, isDone: (nowMs: number) => boolean): Promise<boolean> {
  const { clock } = run
  const endMs = clock.monotonic() + limitMs
  let toldMs = Number.NEGATIVE_INFINITY
  for (;;) {
    await clock.sleep(LOOK_EVERY_MS, run.signal)
    watch.assertWatching()
    const nowMs = clock.monotonic()
    if (nowMs - toldMs >= TELL_EVERY_MS) {
      tell(run, watch.samples, nowMs)
      toldMs = nowMs
    }
    if (isDone(nowMs)) return true
    if (nowMs >= endMs) return false
  }
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
