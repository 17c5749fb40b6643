/**
 * One machine under drill and move: watch, see that all is as it should be, make a change, look until it has settled, undo it.
 * What a change is, what settled means and what is said of it is given in.
 */
import { asHactlError, HactlError, type HactlErrorInit, throwAll } from '../errors.ts'
import { BASELINE_LIMIT_MS } from './limits.ts'
import { startWatchers, type WatchersRun } from './watchers.ts'

/** A baseline is good only after this long. */
const BASELINE_MS = 1000
const TELL_EVERY_MS = 250

/**
 * Looks until `isDone`, or until `limitMs` have passed; whether it was done. Throws E_INTERRUPTED, what made a watcher stop, and what
 * `isDone` throws.
 */
export type Until = (limitMs: number, isDone: (nowMs: number) => boolean) => Promise<boolean>

export interface Change {
  /** Comes right before the change. Where it throws, the change is not made and there is nothing to undo. */
  readonly prepare: () => Promise<void>
  /** Makes the change and looks until it has settled. False: no further change is made. */
  readonly make: (until: Until) => Promise<boolean>
  /**
   * Undoes the change, however far it came. It is bounded, and no signal stops it. `earlier`: what ended the changes, if an error did.
   * Throws E_UNDO_FAILED.
   */
  readonly undo: (earlier: unknown) => Promise<void>
}

interface Fault {
  readonly thrown: unknown
}

export interface WatchedWork {
  /** Its bound is longer than the baseline, the changes, their undo and what comes afterwards can last together. */
  readonly watch: WatchersRun
  readonly signal: AbortSignal
  readonly lookEveryMs: number
  /** Called several times a second while it looks. `isOver`: it was the last look of its kind. */
  readonly tell: (nowMs: number, isOver: boolean) => void
  /** What must be seen before anything is changed; undefined: nothing. */
  readonly baseline: Baseline | undefined
  /** The changes, by their number from 0; undefined ends them. Each is asked for once the one before it has settled. */
  readonly changeAt: (index: number) => Change | undefined
  /** What an error means once something was changed; the error itself where this is left out. */
  readonly faultAfterChange?: (thrown: unknown) => unknown
  /** Whether the changes are undone, given what ended them, if an error did. */
  readonly isUndone: (fault: Fault | undefined) => boolean
  readonly onUndo?: (state: 'started' | 'done') => void
  /** Goes on looking after the undo. Not called where an error ended the changes. */
  readonly afterwards?: (until: Until) => Promise<void>
}

interface Baseline {
  /** Empty where all is as it should be. Not asked before it has been watched for a moment. */
  readonly problems: (nowMs: number) => readonly string[]
  /** What E_UNHEALTHY says where they do not go away. */
  readonly refusal: Pick<HactlErrorInit, 'server' | 'what' | 'fix'>
}

/**
 * Throws E_UNHEALTHY where the baseline is not good (nothing was changed), E_UNDO_FAILED where undos could not be confirmed (all of them together),
 * and any other fault after the undo. The watchers have ended on every way out.
 */
export async function watchUntilUndo(work: WatchedWork): Promise<void> {
  const { watch, signal } = work
  const { clock } = watch
  const watchers = startWatchers(watch)
  const until: Until = async (limitMs, isDone) => {
    const endMs = clock.monotonic() + limitMs
    let toldMs = Number.NEGATIVE_INFINITY
    for (;;) {
      await clock.sleep(work.lookEveryMs, signal)
      watchers.assertWatching()
      const nowMs = clock.monotonic()
      const wasDone = isDone(nowMs)
      const isOver = wasDone || nowMs >= endMs
      if (nowMs - toldMs >= TELL_EVERY_MS) {
        work.tell(nowMs, isOver)
        toldMs = nowMs
      }
      if (isOver) return wasDone
    }
  }
  try {
    await seeBaseline(work, until)
    await changeAndUndo(work, until)
    await work.afterwards?.(until)
  } finally {
    await watchers.end()
  }
}

async function seeBaseline({ baseline, watch }: WatchedWork, until: Until): Promise<void> {
  if (baseline === undefined) return
  const startedMs = watch.clock.monotonic()
  let problems: readonly string[] = []
  const isGood = await until(BASELINE_LIMIT_MS * watch.links.patience, nowMs => {
    if (nowMs - startedMs < BASELINE_MS) return false
    problems = baseline.problems(nowMs)
    return problems.length === 0
  })
  if (!isGood) throw new HactlError({ code: 'E_UNHEALTHY', ...baseline.refusal, why: problems })
}

async function changeAndUndo(work: WatchedWork, until: Until): Promise<void> {
  const { faultAfterChange = thrown => thrown } = work
  // An interrupt during the baseline must not let the change start, nor one while it was prepared.
  const assertNotInterrupted = () => work.watch.clock.sleep(0, work.signal)
  const started: Change[] = []
  let fault: Fault | undefined
  try {
    let isLast = false
    while (!isLast) {
      const change = work.changeAt(started.length)
      if (change === undefined) break
      await assertNotInterrupted()
      await change.prepare()
      started.push(change)
      await assertNotInterrupted()
      isLast = !(await change.make(until))
    }
  } catch (error) {
    if (started.length === 0) throw error
    fault = { thrown: faultAfterChange(error) }
  }
  if (work.isUndone(fault)) await undoAll(work, started, fault?.thrown)
  if (fault !== undefined) throw fault.thrown
}

async function undoAll({ onUndo }: WatchedWork, started: readonly Change[], earlier: unknown): Promise<void> {
  onUndo?.('started')
  const outcomes = await Promise.allSettled(started.map(change => change.undo(earlier)))
  throwAll(outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [asHactlError(outcome.reason)] : [])))
  onUndo?.('done')
}
