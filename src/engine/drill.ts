/** Carries out one drill: watch, arm the undo, disturb, watch, undo, watch. The undo runs on every way out. */
import { HactlError } from '../errors.ts'
import type { Script } from '../ports.ts'
import type { DrillState, Sample } from '../state/drill.ts'
import type { DrillRun } from './drill-run.ts'
import { observeDrillState } from './drill-state.ts'
import { armUndo, disarmUndo, type UndoPlan, undoDisturbance, undoUnit } from './drill-undo.ts'
import { lookUntil, startWatching, type Watching } from './drill-watch.ts'
import { BASELINE_LIMIT_MS } from './limits.ts'
import { isLoss } from './links.ts'
import { lockGuard, lockLost } from './lock.ts'
import { joinScripts, scriptWord, sh } from '../shell/sh.ts'

const BASELINE_MS = 1000

export interface DrillOutcome {
  /** Those of the run. */
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked are missing. */
  readonly after: readonly DrillState[]
  /** What failed beside the drill and ended it. */
  readonly stopped: readonly string[] | undefined
  /** Why nobody took over, where that could be told. */
  readonly diagnosis: string | undefined
}

/**
 * Runs the drill and brings back what was seen; whether that is good is not decided here.
 * Throws E_UNHEALTHY where the baseline is not good (nothing was disturbed), E_INTERRUPTED and any other fault after the undo,
 * E_UNDO_FAILED where the undo could not be confirmed.
 */
export async function runDrill(run: DrillRun): Promise<DrillOutcome> {
  const before = await Promise.all(run.links.servers.map(server => observeDrillState(run.links.current(server), run.look, run.signal)))
  const watch = startWatching(run)
  let stopped: readonly string[] = []
  let diagnosis: string | undefined
  const isStopped = (now: number) => {
    stopped = run.decide.secondFaults(watch.samples, now)
    return stopped.length > 0
  }
  try {
    await seeBaseline(run, watch)
    diagnosis = await disturbAndUndo(run, watch, isStopped)
    const isHome = (now: number) => run.decide.failbackIsSettled(watch.samples, now)
    const wasStopped = stopped.length > 0
    await lookUntil(run, watch, run.limits.failbackMs, now => isHome(now) || (!wasStopped && isStopped(now)))
  } finally {
    await watch.end()
  }
  return {
    samples: watch.samples,
    before,
    after: await observeAfter(run, before),
    stopped: stopped.length === 0 ? undefined : stopped,
    diagnosis,
  }
}

async function seeBaseline(run: DrillRun, watch: Watching): Promise<void> {
  const beginMs = run.clock.monotonic()
  const isGood = (now: number) => now - beginMs >= BASELINE_MS && run.decide.baselineProblems(watch.samples, now).length === 0
  if (await lookUntil(run, watch, BASELINE_LIMIT_MS * run.links.patience, isGood)) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    what: `${run.drill} not started: ${run.vip} is not healthy`,
    why: run.decide.baselineProblems(watch.samples, run.clock.monotonic()),
    fix: 'run hactl status; nothing was disturbed',
  })
}

/** A server whose timer runs, and since when. */
interface Armed {
  readonly plan: UndoPlan
  readonly armedMs: number
}

async function disturbAndUndo(run: DrillRun, watch: Watching, isStopped: (nowMs: number) => boolean): Promise<string | undefined> {
  const { clock } = run
  const armed: Armed[] = []
  let fault: { readonly thrown: unknown } | undefined
  let diagnosis: string | undefined
  try {
    for (let round = 0; round < run.rounds; round++) {
      const server = round === 0 ? run.server : run.decide.nextToDisturb(watch.samples, clock.monotonic())
      if (server === undefined) break
      const one = await arm(run, watch, server, round)
      armed.push(one)
      const isSettled = await disturb(run, watch, one.plan, isStopped)
      if (isStopped(clock.monotonic())) break
      if (!isSettled) {
        diagnosis = await run.diagnose?.(server).catch(() => undefined)
        break
      }
    }
  } catch (error) {
    if (armed.length === 0) throw error
    fault = { thrown: afterDisturbance(error) }
  }
  watch.mark('undone', run.server)
  const undone = await Promise.allSettled(armed.map(one => undo(run, one, fault?.thrown)))
  const failed = undone.find(outcome => outcome.status === 'rejected')
  if (failed?.status === 'rejected') throw failed.reason
  watch.mark('restored', run.server)
  if (fault !== undefined) throw fault.thrown
  return diagnosis
}

/** E_UNHEALTHY says that nothing was disturbed: not so in a later round. */
function afterDisturbance(error: unknown): unknown {
  if (!(error instanceof HactlError) || error.code !== 'E_UNHEALTHY') return error
  const { server, why } = error
  const what = `the drill could not go on: ${error.message}`
  return new HactlError({ code: 'E_COMMAND_FAILED', what, why, cause: error, ...(server === undefined ? {} : { server }) })
}

async function arm(run: DrillRun, watch: Watching, server: string, round: number): Promise<Armed> {
  const { clock, disturbance, limits } = run
  const id = round === 0 ? run.id : `${run.id}${round}`
  const plan: UndoPlan = { id, server, disturbance, undoAfterMs: limits.undoAfterMs, bootMs: limits.bootMs }
  try {
    await armUndo(run.links.current(server), plan, run.signal)
  } catch (error) {
    // It may have been armed all the same. Left there it would start what runs anyway.
    await disarmUndo(run.links.current(server), plan).catch(() => undefined)
    throw error
  }
  const armedMs = clock.monotonic()
  watch.mark('armed', server)
  const title = `${server} will ${disturbance.undoTitle} by itself`
  run.onEvent({ kind: 'drill-armed', drill: run.drill, server, title, undoAfterMs: limits.undoAfterMs })
  return { plan, armedMs }
}

async function undo(run: DrillRun, { plan, armedMs }: Armed, earlier: unknown): Promise<void> {
  const { server } = plan
  const onWaiting = (text: string) => run.onEvent({ kind: 'warning', server, text })
  await undoDisturbance({ plan, links: run.links, clock: run.clock, armedMs, earlier, onWaiting })
  run.onEvent({ kind: 'drill-undone', drill: run.drill, server, title: `${run.disturbance.undoTitle} on ${server}` })
  await takeTimerAway(run, plan)
}

/** Disturbs and watches until the takeover has settled, a second fault shows, or the limit has passed; false for the last. */
async function disturb(run: DrillRun, watch: Watching, plan: UndoPlan, isStopped: (nowMs: number) => boolean): Promise<boolean> {
  const { disturbance, limits } = run
  const { server } = plan
  // An interrupt while the timer was armed must not let the disturbance begin.
  await run.clock.sleep(0, run.signal)
  let command: { readonly fault: unknown } | undefined
  watch.mark('disturbed', server)
  run.onEvent({ kind: 'drill-disturbed', drill: run.drill, server, title: `${disturbance.title} on ${server}` })
  runDisturbance(run, plan).then(
    () => (command = { fault: undefined }),
    (fault: unknown) => (command = { fault }),
  )
  const assertDisturbing = () => {
    if (command?.fault !== undefined) throw command.fault
  }
  return lookUntil(run, watch, limits.takeoverMs, now => {
    assertDisturbing()
    // A server that is cut off never says that the command has ended.
    const isDone = command !== undefined || disturbance.severs
    return isStopped(now) || (isDone && run.decide.takeoverIsSettled(watch.samples, now))
  })
}

/** A controller that slept since it armed the undo may have lost the lock, and the timer has gone off: then there is no way back. */
function disturbScript({ disturbance, lockId }: DrillRun, plan: UndoPlan): Script {
  const timer = `${undoUnit(plan.id)}.timer`
  return joinScripts([
    lockGuard(lockId),
    sh`systemctl is-active --quiet ${timer} || { echo the undo timer has already fired: nothing was disturbed >&2; exit 1; }`,
    sh`/bin/sh -c ${scriptWord(disturbance.script)}`,
  ])
}

async function runDisturbance(run: DrillRun, plan: UndoPlan): Promise<void> {
  const { disturbance } = run
  const { server } = plan
  try {
    const result = await run.links.current(server).run(disturbScript(run, plan), {
      effect: 'change',
      label: disturbance.title,
      // Past it the undo begins.
      deadlineMs: run.limits.takeoverMs,
      hasFixedLimit: true,
      signal: run.signal,
    })
    if (result.code === 0) return
    const lost = lockLost(result, server, disturbance.title)
    if (lost !== undefined) throw lost
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
  // A boot has taken it along.
  if (plan.bootMs > 0) return
  const session = run.links.current(plan.server)
  try {
    await disarmUndo(session, plan).catch(async error => {
      if (!isLoss(error)) throw error
      await disarmUndo(await run.links.renew(session), plan)
    })
  } catch {
    const text = `the undo timer is still active; it ends by itself within ${Math.ceil(plan.undoAfterMs / 1000)} s`
    run.onEvent({ kind: 'warning', server: plan.server, text })
  }
}

/** A service's hooks may need a moment for what they put back; what differs for longer stays different. */
const SAME_AGAIN_MS = 8000
const SAME_AGAIN_EVERY_MS = 1000

async function observeAfter(run: DrillRun, before: readonly DrillState[]): Promise<readonly DrillState[]> {
  const endMs = run.clock.monotonic() + SAME_AGAIN_MS * run.links.patience
  for (;;) {
    const after = await observeAll(run)
    if (areSame(before, after) || run.signal.aborted || run.clock.monotonic() >= endMs) return after
    await run.clock.sleep(SAME_AGAIN_EVERY_MS, run.signal).catch(() => undefined)
  }
}

/** Where the address went is no matter here. */
function areSame(before: readonly DrillState[], after: readonly DrillState[]): boolean {
  const text = (states: readonly DrillState[]) => JSON.stringify(states.map(state => ({ ...state, holds: [] })))
  return text(before) === text(after)
}

async function observeAll(run: DrillRun): Promise<readonly DrillState[]> {
  const states = await Promise.all(
    run.links.servers.map(async server => {
      const session = run.links.current(server)
      try {
        return await observeDrillState(session, run.look).catch(async (error: unknown) => {
          if (!isLoss(error)) throw error
          return observeDrillState(await run.links.renew(session), run.look)
        })
      } catch {
        return undefined
      }
    }),
  )
  return states.filter(state => state !== undefined)
}
