/** How much longer than by themselves hactl's limits are, where the operator says that servers are slow or far away. */

/** What getting into one server may take unless --timeout says otherwise, in ms. */
export const TIMEOUT_MS = 20_000
/** The longest --timeout, in ms. */
export const LONGEST_TIMEOUT_MS = 3_600_000

/**
 * How many times its own limit everything gets that waits for a server: --timeout over its default, never less than 1. One factor for all,
 * so that two limits that rest on each other (an undo, and the timer that does the same) stand to each other alike at every --timeout.
 */
export function patienceFor(timeoutMs: number): number {
  return Math.max(1, timeoutMs / TIMEOUT_MS)
}
