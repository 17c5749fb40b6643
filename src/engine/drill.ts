/** Carries out one drill: watch, arm the undo, disturb, watch, undo, watch. The undo runs on every way out. */
import { HactlError } from '../errors.ts'
import type { Clock } from '../ports.ts'
import type { Disturbance, DrillState, HolderSample, Mark, ProbeSample, Sample } from '../state.ts'
import { observeDrillState } from './drill-state.ts'
import { armUndo, disarmUndo, type UndoPlan, undoDisturbance } from './drill-undo.ts'
import type { DrillEvent, RemarkEvent } from './events.ts'
import { isLoss, type Links } from './links.ts'
import { runSampler } from './sampler.ts'
import { sh } from './ssh/sh.ts'

const BASELINE_MS = 1000
/** The watchers need a moment to begin; a baseline that is not good by then refuses the drill. */
const BASELINE_LIMIT_MS = 6000
const LOOK_EVERY_MS = 100
/** The last probes have a second each, and a remote script some time to be told. */
const WATCHERS_END_MS = 3000
const TELL_EVERY_MS = 250
/** A server that was silent for this long is shown as such. */
const SILENT_AFTER_MS = 1000

export interface DrillRun {
  /** Short and random: part of the undo timer's name. */
  readonly id: string
  /** The drill's name, for events. */
  readonly drill: string
  readonly disturbance: Disturbance
  /** Where the disturbance happens. */
  readonly server: string
  readonly vip: string
  /** Every virtual address to keep an eye on; in the form `ip` prints. */
  readonly vips: readonly string[]
  readonly units: readonly string[]
  /** Absolute paths of files that hold one number each. */
  readonly trackers: readonly string[]
  readonly limits: { readonly takeoverMs: number; readonly failbackMs: number; readonly undoAfterMs: number }
  readonly decide: DrillDecisions
  readonly links: Links
  /** Sends probes until `stop` aborts, for at most boundMs; rejects where it cannot go on. */
  readonly sendProbes: (watch: {
    readonly stop: AbortSignal
    readonly boundMs: number
    readonly onSample: (sample: ProbeSample) => void
  }) => Promise<unknown>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onEvent: (event: DrillEvent | RemarkEvent) => void
}

/** What the samples mean is the caller's to say. */
export interface DrillDecisions {
  /** Why the drill must not begin; empty where it may. */
  baselineProblems(samples: readonly Sample[], nowMs: number): readonly string[]
  takeoverIsSettled(samples: readonly Sample[], nowMs: number): boolean
  failbackIsSettled(samples: readonly Sample[], nowMs: number): boolean
}

export interface DrillOutcome {
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked are missing. */
  readonly after: readonly DrillState[]
}

/**
 * Runs the drill and brings back what was seen; whether that is good is not decided here.
 * Throws E_UNHEALTHY where the baseline is not good (nothing was disturbed), E_INTERRUPTED and any other fault after the undo,
 * E_UNDO_FAILED where the undo could not be confirmed.
 */
export async function runDrill(run: DrillRun): Promise<DrillOutcome> {
  const before = await Promise.all(
    run.links.servers.map(server => observeDrillState(run.links.current(server), run.vips, run.units, run.signal)),
  )
  const watch = startWatching(run)
  try {
    await seeBaseline(run, watch)
    await disturbAndUndo(run, watch)
    await lookUntil(run, watch, run.limits.failbackMs, now => run.decide.failbackIsSettled(watch.samples, now))
  } finally {
    await watch.end()
  }
  return { samples: watch.samples, before, after: await observeAfter(run) }
}

interface Watching {
  /** Grows while the drill runs. */
  readonly samples: Sample[]
  mark(mark: Mark['mark']): void
  /** Throws what made a watcher stop, if anything did. */
  assertWatching(): void
  end(): Promise<void>
}

function startWatching(run: DrillRun): Watching {
  const { clock } = run
  const samples: Sample[] = []
  const stop = new AbortController()
  let fault: unknown
  const failed = (error: unknown) => {
    fault ??= error
  }
  const { takeoverMs, failbackMs, undoAfterMs } = run.limits
  const boundMs = BASELINE_LIMIT_MS + takeoverMs + undoAfterMs + failbackMs + 30_000
  const samplers = run.links.servers.map(server =>
    runSampler({
      session: run.links.current(server),
      reconnect: (lost, signal) => run.links.renew(lost, signal),
      watch: { vips: run.vips, units: run.units, trackers: run.trackers, boundMs },
      clock,
      stop: stop.signal,
      onSample: sample => samples.push(sample),
    }).catch(failed),
  )
  const prober = run.sendProbes({ stop: stop.signal, boundMs, onSample: sample => samples.push(sample) }).catch(failed)
  return {
    samples,
    mark: mark => samples.push({ kind: 'mark', mark, atMs: clock.monotonic(), server: run.server }),
    assertWatching() {
      if (fault !== undefined) throw fault
    },
    async end() {
      stop.abort()
      // A watcher that does not end must not keep the verdict, or an interrupt, waiting.
      await Promise.race([Promise.all([...samplers, prober]), clock.sleep(WATCHERS_END_MS)])
    },
  }
}

async function seeBaseline(run: DrillRun, watch: Watching): Promise<void> {
  const beginMs = run.clock.monotonic()
  const isGood = (now: number) => now - beginMs >= BASELINE_MS && run.decide.baselineProblems(watch.samples, now).length === 0
  if (await lookUntil(run, watch, BASELINE_LIMIT_MS, isGood)) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    what: `${run.drill} was not begun: ${run.vip} is not well enough`,
    why: run.decide.baselineProblems(watch.samples, run.clock.monotonic()),
    fix: 'see hactl status; nothing was disturbed',
  })
}

async function disturbAndUndo(run: DrillRun, watch: Watching): Promise<void> {
  const { clock, limits } = run
  const plan: UndoPlan = { id: run.id, server: run.server, disturbance: run.disturbance, undoAfterMs: limits.undoAfterMs }
  const armedMs = clock.monotonic()
  try {
    await armUndo(run.links.current(run.server), plan, run.signal)
  } catch (error) {
    // It may have been armed all the same. Left there it would start what runs anyway.
    await disarmUndo(run.links.current(run.server), plan).catch(() => undefined)
    throw error
  }
  watch.mark('armed')
  run.onEvent({
    kind: 'drill-armed',
    drill: run.drill,
    server: run.server,
    title: `${run.server} will ${run.disturbance.undoTitle} by itself`,
    undoAfterMs: limits.undoAfterMs,
  })
  let fault: { readonly thrown: unknown } | undefined
  try {
    await disturb(run, watch)
  } catch (error) {
    fault = { thrown: error }
  }
  watch.mark('undone')
  await undoDisturbance({
    plan,
    links: run.links,
    clock,
    armedMs,
    earlier: fault?.thrown,
    onWaiting: text => run.onEvent({ kind: 'warning', server: run.server, text }),
  })
  watch.mark('restored')
  run.onEvent({ kind: 'drill-undone', drill: run.drill, server: run.server, title: `${run.disturbance.undoTitle} on ${run.server}` })
  await takeTimerAway(run, plan)
  if (fault !== undefined) throw fault.thrown
}

/** Disturbs and watches until the takeover has settled or its limit has passed. */
async function disturb(run: DrillRun, watch: Watching): Promise<void> {
  const { disturbance, limits, server } = run
  // An interrupt while the timer was armed must not let the disturbance begin.
  await run.clock.sleep(0, run.signal)
  let command: { readonly fault: unknown } | undefined
  watch.mark('disturbed')
  run.onEvent({ kind: 'drill-disturbed', drill: run.drill, server, title: `${disturbance.title} on ${server}` })
  runDisturbance(run).then(
    () => (command = { fault: undefined }),
    (fault: unknown) => (command = { fault }),
  )
  const assertDisturbing = () => {
    if (command?.fault !== undefined) throw command.fault
  }
  await lookUntil(run, watch, limits.takeoverMs, now => {
    assertDisturbing()
    return command !== undefined && run.decide.takeoverIsSettled(watch.samples, now)
  })
}

async function runDisturbance(run: DrillRun): Promise<void> {
  const { disturbance, server } = run
  try {
    const result = await run.links.current(server).run(sh`/bin/sh -c ${disturbance.script}`, {
      label: disturbance.title,
      deadlineMs: run.limits.takeoverMs,
      signal: run.signal,
    })
    if (result.code === 0) return
    throw new HactlError({
      code: 'E_COMMAND_FAILED',
      server,
      what: `"${disturbance.title}" ended with status ${result.code} on ${server}; it was undone`,
      why: result.stderr.trim().split('\n').slice(-3),
    })
  } catch (error) {
    if (!(disturbance.severs && isLoss(error))) throw error
  }
}

/** The service is back: a timer that cannot be taken away runs a command that changes nothing any more. */
async function takeTimerAway(run: DrillRun, plan: UndoPlan): Promise<void> {
  const session = run.links.current(run.server)
  try {
    await disarmUndo(session, plan).catch(async error => {
      if (!isLoss(error)) throw error
      await disarmUndo(await run.links.renew(session), plan)
    })
  } catch {
    const text = `the undo timer is still there; it goes away by itself within ${Math.ceil(plan.undoAfterMs / 1000)} s`
    run.onEvent({ kind: 'warning', server: run.server, text })
  }
}

/** Looks at the samples until `isDone` or the limit; whether it was done. Throws what stops the drill: an abort, a watcher that failed. */
async function lookUntil(run: DrillRun, watch: Watching, limitMs: number, isDone: (nowMs: number) => boolean): Promise<boolean> {
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
  const disturbed = samples.find(sample => sample.kind === 'mark' && sample.mark === 'disturbed')
  if (disturbed?.kind !== 'mark') return
  const holds: Record<string, boolean | undefined> = {}
  for (const server of run.links.servers) {
    const latest = samples.findLast((sample): sample is HolderSample => sample.kind === 'holder' && sample.server === server)
    const isKnown = latest?.reachable === true && nowMs - latest.atMs <= SILENT_AFTER_MS
    holds[server] = isKnown ? latest.holds.includes(run.vip) : undefined
  }
  let probesOk = 0
  let probesFailed = 0
  for (const sample of samples) {
    if (sample.kind !== 'probe') continue
    if (sample.ok) probesOk++
    else probesFailed++
  }
  run.onEvent({ kind: 'drill-sample', drill: run.drill, vip: run.vip, atMs: nowMs - disturbed.atMs, holds, probesOk, probesFailed })
}

async function observeAfter(run: DrillRun): Promise<readonly DrillState[]> {
  const states = await Promise.all(
    run.links.servers.map(async server => {
      const session = run.links.current(server)
      try {
        return await observeDrillState(session, run.vips, run.units).catch(async (error: unknown) => {
          if (!isLoss(error)) throw error
          return observeDrillState(await run.links.renew(session), run.vips, run.units)
        })
      } catch {
        return undefined
      }
    }),
  )
  return states.filter(state => state !== undefined)
}
