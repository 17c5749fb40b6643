/** What a drill needs in order to run. Types only. */
import type { Clock } from '../ports.ts'
import type { Disturbance, Sample } from '../state/drill.ts'
import type { LongLived } from './connection-keeper.ts'
import type { DrillStateWatch } from './drill-state.ts'
import type { DrillEvent, RemarkEvent } from './events.ts'
import type { DrillPhases } from './limits.ts'
import type { Links } from './links.ts'
import type { SendProbes } from './watchers.ts'

export interface DrillRun {
  /** Short and random: part of the undo timer's name. */
  readonly id: string
  /** Of the lock that the run holds: without the lock nothing is disturbed. */
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
  /** Filled with what is seen, as it is seen. The caller has it where the drill ends in an error, too. */
  readonly samples: Sample[]
  readonly links: Links
  readonly sendProbes: SendProbes
  /** Connections that are open through the address while it moves. */
  readonly longLived?: LongLived
  /** Says why no server took over. Asked while the disturbance lasts. It has its own bound, and its errors do not end the drill. */
  readonly diagnose?: (server: string) => Promise<string | undefined>
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onEvent: (event: DrillEvent | RemarkEvent) => void
}

/** What the samples mean; the caller decides. */
export interface DrillDecisions {
  /** A server that sent nothing for this long is silent: it is not known what it holds. */
  readonly silentAfterMs: number
  /** Why the drill must not start; empty where it may. */
  baselineProblems(samples: readonly Sample[], nowMs: number): readonly string[]
  takeoverIsSettled(samples: readonly Sample[], nowMs: number): boolean
  /** The move has been seen: the drill's own connections end, so that no service that stops waits for them. */
  moveIsJudged(samples: readonly Sample[], nowMs: number): boolean
  failbackIsSettled(samples: readonly Sample[], nowMs: number): boolean
  /** The server of the next round; undefined ends the rounds. */
  nextToDisturb(samples: readonly Sample[], nowMs: number): string | undefined
  /** What failed beside the drill: it ends the drill. */
  secondFaults(samples: readonly Sample[], nowMs: number): readonly string[]
  /** The longest interruption yet, in ms. */
  outageSoFar(samples: readonly Sample[], nowMs: number): number
}
