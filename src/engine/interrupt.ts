import { HactlError } from '../errors.ts'

/** What the operator needs to know of a run that stops where it can: how far it came, and how it goes on. */
export interface Interrupted {
  readonly what: string
  readonly why: readonly string[]
  readonly fix: string
  readonly cause?: unknown
}

/** E_INTERRUPTED with the exit status of the signal that it was: 130 or 143. */
export function interruptedError(signal: AbortSignal, how: Interrupted): HactlError {
  return new HactlError({ code: 'E_INTERRUPTED', ...how, exit: signal.reason === 'SIGTERM' ? 143 : 130 })
}

/** Asked between two steps that are each ended once they have begun. */
export function assertNotInterrupted(signal: AbortSignal, how: Interrupted): void {
  if (signal.aborted) throw interruptedError(signal, how)
}
