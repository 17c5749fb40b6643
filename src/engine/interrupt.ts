import { HactlError } from '../errors.ts'

/** What the operator needs to know of a run that stops where it can: how far it came, and how it goes on. */
export interface Interrupted {
  readonly what: string
  readonly why: readonly string[]
  readonly fix: string
  readonly cause?: unknown
}

export function interruptedError(how: Interrupted): HactlError {
  return new HactlError({ code: 'E_INTERRUPTED', ...how })
}

/** Asked between two steps that are each ended once they have begun. */
export function assertNotInterrupted(signal: AbortSignal, how: Interrupted): void {
  if (signal.aborted) throw interruptedError(how)
}
