import type { Clock } from '../ports.ts'

/** How whatever watches a drill or a move is run: it goes on until `stop` aborts, and gives each sample at once. */
export interface Watching<Sample> {
  readonly clock: Clock
  readonly stop: AbortSignal
  readonly onSample: (sample: Sample) => void
}
