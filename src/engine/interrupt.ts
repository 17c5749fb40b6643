import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'

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

/** Throws E_INTERRUPTED after the signal. Called between two steps, where no step is half done. */
export function assertNotInterrupted(signal: AbortSignal, how: Interrupted): void {
  if (signal.aborted) throw interruptedError(how)
}

/** The same run with a signal that never aborts, for a step that must not be left half done. */
export function uninterrupted<R extends { readonly ports: Pick<Ports, 'signal'> }>(run: R): R {
  return { ...run, ports: { ...run.ports, signal: new AbortController().signal } }
}
