/** What one drill is carried out with. Types only. */
import type { Clock } from '../ports.ts'
import type { ConnectionSample, Disturbance, Sample } from '../state/drill.ts'
import type { DrillStateWatch } from './drill-state.ts'
import type { DrillEvent, RemarkEvent } from './events.ts'
import type { DrillPhases } from './limits.ts'
import type { Links } from './links.ts'
import type { SendProbes } from './watchers.ts'

export interface DrillRun {
  /** Short and random: part of the undo timer's name. */
  readonly id: string
  /** Of the lock that is held: without it nothing is disturbed any more. */
  readonly lockId: string
  /** The drill's name, for events. */
  readonly drill: string
  readonly disturbance: Disturbance
  /** Where the disturbance happens, or happens first. */
  readonly server: string
  /** How many servers are disturbed, one after the other; what is disturbed stays so until the end. */
  readonly rounds: number
  readonly vip: string
  /** What is looked at before, meanwhile and after; addresses in the form `ip` prints. */
  readonly look: DrillStateWatch
  readonly limits: DrillPhases
  readonly decide: DrillDecisions
  /** Filled with what is seen, as it is seen: the caller has it also where the drill ends in a fault. */
  readonly samples: Sample[]
  readonly links: Links
  readonly sendProbes: SendProbes
  /** Keeps connections open through the address until `stop` aborts. */
  readonly holdConnections?: (watch: {
    readonly stop: AbortSignal
    readonly onSample: (sample: ConnectionSample) => void
  }) => Promise<unknown>
  /** Asked while the disturbance lasts, where the takeover did not come: why. Bounded by who gives it; a fault of it is none of the drill. */
  readonly diagnose?: (server: string) => Promise<string | undefined>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onEvent: (event: DrillEvent | RemarkEvent) => void
}

/** What the samples mean is the caller's to say. */
export interface DrillDecisions {
  /** Why the drill must not begin; empty where it may. */
  baselineProblems(samples: readonly Sample[], nowMs: number): readonly string[]
  takeoverIsSettled(samples: readonly Sample[], nowMs: number): boolean
  failbackIsSettled(samples: readonly Sample[], nowMs: number): boolean
  /** Where the next round happens; undefined: there is none. */
  nextToDisturb(samples: readonly Sample[], nowMs: number): string | undefined
  /** What failed beside the drill: it ends the drill. */
  secondFaults(samples: readonly Sample[], nowMs: number): readonly string[]
  /** The longest interruption yet, in ms. */
  outageSoFar(samples: readonly Sample[], nowMs: number): number
}
