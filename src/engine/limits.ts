/** Limits that rest on each other, in ms. */

/** How long after its deadline a command may take to be gone before it is reported as perhaps still running. */
export const STOP_GRACE_MS = 1_000

/** Two missed heartbeats and a bit; with the beat below, a dead run's lock is free again within 30 s. */
export const LOCK_EXPIRES_SECONDS = 25
/** From the beginning of one heartbeat to that of the next, and what each may take. */
export const BEAT_MS = 8_000
/** Longer than a beat: a living run renews within it a heartbeat that seems to lie in the future. */
export const CLOCK_SET_BACK_SECONDS = 10

/** systemd-run and systemctl answer within a second; a server that needs longer is not fit for a drill. */
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

/** The watchers need a moment to begin; a baseline that is not good by then ends the run. */
export const BASELINE_LIMIT_MS = 6000
