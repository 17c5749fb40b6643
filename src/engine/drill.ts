/** Carries out one drill: arms the undo on the server, disturbs it, watches, undoes, watches. The undo runs on every way out. */
import { HactlError } from '../errors.ts'
import type { Script } from '../ports.ts'
import { joinScripts, scriptWord, sh } from '../shell/sh.ts'
import type { DrillState, Mark, Sample } from '../state/drill.ts'
import type { DrillRun } from './drill-run.ts'
import { observeStateAfter, observeStateBefore } from './drill-state.ts'
import { armUndo, disarmUndo, stillArmed, type UndoPlan, undoDisturbance } from './drill-undo.ts'
import { drillWatch, tellDrill } from './drill-watch.ts'
import { isLoss } from './links.ts'
import { lockGuard, lockLost } from './lock.ts'
import { type Change, type Until, watchUntilUndo } from './watch-until-undo.ts'

const LOOK_EVERY_MS = 100

export interface DrillOutcome {
  /** Those of the run. */
  readonly samples: readonly Sample[]
  readonly before: readonly DrillState[]
  /** Servers that could not be asked are missing. */
  readonly after: readonly DrillState[]
  /** What failed beside the drill and ended it. */
  readonly stopped: readonly string[] | undefined
  /** Why no server took over, where that could be told. */
  readonly diagnosis: string | undefined
}

/**
 * Runs the drill and brings back what was seen; whether that is good is not decided here.
 * Throws E_UNHEALTHY where the baseline is not good (nothing was disturbed), E_INTERRUPTED and any other fault after the undo,
 * E_UNDO_FAILED where the undo could not be confirmed, for all servers together.
 */
export async function runDrill(run: DrillRun): Promise<DrillOutcome> {
  const { samples, limits, decide, clock } = run
  const before = await observeStateBefore(run)
  const found: Found = { secondFaults: [], diagnosis: undefined }
  await watchUntilUndo({
    watch: drillWatch(run),
    signal: run.signal,
    lookEveryMs: LOOK_EVERY_MS,
    tell: nowMs => tellDrill(run, nowMs),
    baseline: {
      problems: nowMs => decide.baselineProblems(samples, nowMs),
      refusal: { what: `${run.drill} not started: ${run.vip} is not healthy`, fix: 'run hactl status; nothing was disturbed' },
    },
    changeAt(round) {
      if (round >= run.rounds) return undefined
      const server = round === 0 ? run.server : decide.nextToDisturb(samples, clock.monotonic())
      return server === undefined ? undefined : disturbanceOn(run, server, round, found)
    },
    faultAfterChange: afterDisturbance,
    isUndone: () => true,
    onUndo: state => mark(run, state === 'started' ? 'undone' : 'restored', run.server),
    async afterwards(until) {
      const wasStopped = found.secondFaults.length > 0
      const isHome = (nowMs: number) => decide.failbackIsSettled(samples, nowMs)
      await until(limits.failbackMs, nowMs => isHome(nowMs) || (!wasStopped && isStopped(run, found, nowMs)))
    },
  })
  return {
    samples,
    before,
    after: await observeStateAfter(run, before),
    stopped: found.secondFaults.length === 0 ? undefined : found.secondFaults,
    diagnosis: found.diagnosis,
  }
}

/** What a drill finds out beside its samples. */
interface Found {
  /** As they were when last looked for. */
  secondFaults: readonly string[]
  diagnosis: string | undefined
}

/** Whether something failed beside the drill: that ends it. */
function isStopped(run: DrillRun, found: Found, nowMs: number): boolean {
  found.secondFaults = run.decide.secondFaults(run.samples, nowMs)
  return found.secondFaults.length > 0
}

function mark({ samples, clock }: DrillRun, what: Mark['mark'], server: string): void {
  samples.push({ kind: 'mark', mark: what, atMs: clock.monotonic(), server })
}

/** E_UNHEALTHY says that nothing was disturbed: not so in a later round. */
function afterDisturbance(error: unknown): unknown {
  if (!(error instanceof HactlError) || error.code !== 'E_UNHEALTHY') return error
  const { server, why, fix = 'run hactl status; then run the drill again' } = error
  const what = `the drill could not go on: ${error.message}`
  return new HactlError({ code: 'E_COMMAND_FAILED', what, why, fix, cause: error, ...(server === undefined ? {} : { server }) })
}

/** The disturbance of one server. What is disturbed stays so until the changes of all rounds are undone. */
function disturbanceOn(run: DrillRun, server: string, round: number, found: Found): Change {
  const { disturbance, limits } = run
  const id = round === 0 ? run.id : `${run.id}${round}`
  const plan: UndoPlan = { id, server, disturbance, undoAfterMs: limits.undoAfterMs, bootMs: limits.bootMs, stopMs: limits.stopMs }
  // Nothing is undone that was not armed.
  let armedMs = Number.NaN
  return {
    async prepare() {
      await arm(run, plan)
      armedMs = run.clock.monotonic()
    },
    async make(until) {
      const isSettled = await disturb(run, plan, found, until)
      // For the way back, or for the next round.
      run.longLived?.begin()
      if (isStopped(run, found, run.clock.monotonic())) return false
      if (!isSettled) found.diagnosis = await run.diagnose?.(server).catch(() => undefined)
      return isSettled
    },
    async undo(earlier) {
      const onWaiting = (text: string) => run.onEvent({ kind: 'warning', server, text })
      await undoDisturbance({ plan, links: run.links, clock: run.clock, armedMs, earlier, onWaiting })
      run.onEvent({ kind: 'drill-undone', drill: run.drill, server, title: `${disturbance.undoTitle} on ${server}` })
      await takeTimerAway(run, plan)
    },
  }
}

async function arm(run: DrillRun, plan: UndoPlan): Promise<void> {
  const { server, undoAfterMs } = plan
  try {
    await armUndo(run.links.current(server), plan, run.signal)
  } catch (error) {
    // It may have been armed all the same. Left there it would start what runs anyway.
    await disarmUndo(run.links.current(server), plan).catch(() => undefined)
    throw error
  }
  mark(run, 'armed', server)
  const title = `${server} will ${plan.disturbance.undoTitle} by itself`
  run.onEvent({ kind: 'drill-armed', drill: run.drill, server, title, undoAfterMs })
}

/** Disturbs and watches until the takeover has settled, a second fault shows, or the limit has passed; false for the last. */
async function disturb(run: DrillRun, plan: UndoPlan, found: Found, until: Until): Promise<boolean> {
  const { disturbance, limits, decide, samples } = run
  const { server } = plan
  let command: { readonly fault: unknown } | undefined
  mark(run, 'disturbed', server)
  run.onEvent({ kind: 'drill-disturbed', drill: run.drill, server, title: `${disturbance.title} on ${server}` })
  runDisturbance(run, plan).then(
    () => (command = { fault: undefined }),
    (fault: unknown) => (command = { fault }),
  )
  const assertDisturbing = () => {
    if (command?.fault !== undefined) throw command.fault
  }
  return until(limits.takeoverMs, nowMs => {
    assertDisturbing()
    if (run.longLived !== undefined && decide.moveIsJudged(samples, nowMs)) run.longLived.end()
    // A server that is cut off never says that the command has ended.
    const isDone = command !== undefined || disturbance.severs
    return isStopped(run, found, nowMs) || (isDone && decide.takeoverIsSettled(samples, nowMs))
  })
}

/** A controller that slept since it armed the undo may have lost the lock, and the timer has fired: then there is no way back. */
function disturbScript({ disturbance, lockId }: DrillRun, plan: UndoPlan): Script {
  return joinScripts([lockGuard(lockId), stillArmed(plan), sh`/bin/sh -c ${scriptWord(disturbance.script)}`])
}

async function runDisturbance(run: DrillRun, plan: UndoPlan): Promise<void> {
  const { disturbance } = run
  const { server } = plan
  try {
    const result = await run.links.current(server).run(disturbScript(run, plan), {
      effect: 'change',
      label: disturbance.title,
      // Past it the undo starts.
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
      fix: `run journalctl -n 50 on ${server}; then run the drill again`,
    })
  } catch (error) {
    if (!(disturbance.severs && isLoss(error))) throw error
  }
}

/** What was disturbed is undone: a timer that cannot be taken away runs a command that changes nothing any more. */
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
