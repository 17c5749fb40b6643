/** Runs load-process.ts beside a test. */
import { type Beside, startBeside } from './beside.ts'

/** What the clients saw. An answer has status 200 and is complete within 5 s. */
export interface Loaded {
  readonly newAnswered: number
  /** Requests on a connection of their own that could not be made, or got no answer. */
  readonly newFailed: number
  /** The same on a connection that was open already, and was closed before the answer was complete. */
  readonly newCut: number
  readonly keptAnswered: number
  /** Kept connections that were closed before any byte of an answer: the request was sent again on a new one, as every client does. */
  readonly keptRetried: number
  /** Kept connections that were closed within an answer. */
  readonly keptCut: number
  /** Requests of the clients that keep theirs which got no answer, on new connections either. */
  readonly keptFailed: number
  /** The errors of requests without a complete answer, each once. */
  readonly errors: readonly string[]
  /** Common names of the certificates that were shown, in the order of their first appearance. */
  readonly certificates: readonly string[]
}

/** Asks all of these until stopped. */
export function startLoad(...urls: readonly string[]): Promise<Beside<Loaded>> {
  return startBeside('load-process.ts', ...urls)
}
