/**
 * Limits that rest on each other, in ms, as they are at --timeout's default. test/engine/limits.test.ts holds what must be true between them.
 * Those of a lock are for all runs alike, whatever their --timeout: another run judges by them.
 */
import type { RunOptions } from '../ports.ts'

/**
 * A limit with `stopMs` in it: a stop of haproxy waits so long for open connections (stop_timeout, decision 36), and so does a start that comes
 * before the stop has ended.
 */
export function withStop(limitMs: number, stopMs: number): number {
  return limitMs + stopMs
}

/** How long after its deadline a command may take to be gone before it is reported as perhaps still running. */
export const STOP_GRACE_MS = 1_000

/** Two missed heartbeats and a bit; with the beat below, a dead run's lock is free again within 30 s. */
export const LOCK_EXPIRES_SECONDS = 25
/** From the beginning of one heartbeat to that of the next, and what each may take. */
export const BEAT_MS = 8_000
/** Longer than a beat: a living run renews within it a heartbeat that seems to lie in the future. */
export const CLOCK_SET_BACK_SECONDS = 10
/** Taking, giving back or breaking it: that wait, and one for the script of another run that is at the lock just now. */
export const LOCK_DEADLINE_MS = 25_000

/** Reading all facts of a server: one that answers but does not finish within this is in trouble itself, or slow. */
export const LOOK_DEADLINE_MS = 20_000
/** A program that is asked meanwhile (nft, the check) and does not answer within this costs its answer, and not the whole look. */
export const ANSWER_SECONDS = 3

/** A change that is made live or restored on one server, with the proofs of its services. */
export const SWITCH_DEADLINE_MS = 120_000
/** How long a later change waits for one that outlived its connection: longer than the proofs of both services take. */
export const ALONE_WITHIN_SECONDS = 90

/** How long a server and the stops on it make hactl wait. `patience`: the session's; `stopMs`: see withStop. */
export interface Waits {
  readonly patience: number
  readonly stopMs: number
}

/** In seconds. The change that is waited for may itself wait for a stop. */
export function aloneWithinSeconds({ patience, stopMs }: Waits): number {
  return Math.ceil(withStop(ALONE_WITHIN_SECONDS * 1000 * patience, stopMs) / 1000)
}

/** Packages are installed: apt may wait ten minutes for a lock and then download over a slow line. */
export const PREPARE_DEADLINE_MS = 1_200_000
/** A whole removal: apt may wait for its lock. */
export const REMOVE_DEADLINE_MS = 900_000
/** systemd waits for a start, and there are two. */
export const START_DEADLINE_MS = 60_000

/** systemd-run and systemctl answer within a second; a server that needs longer is busy, slow or far away. */
export const SYSTEMCTL_DEADLINE_MS = 15_000
/** One attempt to undo a disturbance: it may have to wait for a service to start. */
export const UNDO_DEADLINE_MS = 30_000
/** From one attempt to the next. */
export const UNDO_RETRY_MS = 2000
/**
 * How long after the server's own timer the controller still begins attempts to see that it is undone. Longer than one attempt: the one that
 * is cut off while the timer does its work is followed by one that finds it done.
 */
export const AFTER_TIMER_MS = 45_000

/** A service that keeps open connections has shown by then that the network carries their packets: it forgets what it knew after 5 s. */
export const PROVEN_LIMIT_MS = 6000

/** The watchers need a moment to begin; a baseline that is not good by then ends the run. */
export const BASELINE_LIMIT_MS = 6000
/** What comes around a move that is awaited: preparing it, the change itself, and a last look at the server. */
const AROUND_A_MOVE_MS = 60_000

/**
 * In ms. takeoverMs: for each round; undoAfterMs: from arming; bootMs: how long a server may take to come back, 0 where none goes; stopMs: see
 * withStop.
 */
export interface DrillPhases {
  readonly takeoverMs: number
  readonly failbackMs: number
  readonly undoAfterMs: number
  readonly bootMs: number
  readonly stopMs: number
}

/** After this no watcher of a drill goes on, whatever becomes of hactl: longer than all phases can last. */
export function drillWatchMs(phases: DrillPhases, rounds: number, patience: number): number {
  const { takeoverMs, failbackMs, undoAfterMs, bootMs, stopMs } = phases
  const disturbed = (takeoverMs + SYSTEMCTL_DEADLINE_MS * patience) * rounds
  const undone = Math.max(undoAfterMs, bootMs) + (withStop(AFTER_TIMER_MS, stopMs) + withStop(UNDO_DEADLINE_MS, stopMs)) * patience
  return BASELINE_LIMIT_MS * patience + disturbed + undone + failbackMs
}

/** The same for a move that may take `limitMs`. */
export function moveWatchMs(limitMs: number, patience: number): number {
  return limitMs + (BASELINE_LIMIT_MS + AROUND_A_MOVE_MS) * patience
}

/** A probe without an answer for longer has failed, as users would say. */
export const PROBE_LIMIT_MS = 1000
/**
 * How long an answer is waited for once probing shall end. Where a network loses packets, the last probe of many may have been lost by chance: that
 * is no address that does not answer in the end, and no outage without an end.
 */
export const LAST_ANSWER_MS = 3000
/** For how long watchers may end: the probes that are under way, the wait for an answer, its last probe, and a moment for a remote script. */
export const WATCHERS_END_MS = 6000

/** How much later than the bound of a watcher's script, by which that ends itself, its command is stopped. */
const AFTER_BOUND_MS = 10_000

/** The limit of a watcher's command. Patience is in `boundMs` already: times it again, a long --timeout would exceed what a timer can count. */
export function watcherLimit(boundMs: number, patience: number): Pick<RunOptions, 'deadlineMs' | 'hasFixedLimit'> {
  return { deadlineMs: boundMs + AFTER_BOUND_MS * patience, hasFixedLimit: true }
}
