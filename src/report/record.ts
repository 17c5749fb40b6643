/** What a report is made of: everything that one run of verify-failover saw. Types only. */
import type { DrillCase, Verdict } from '../domain/failover/verdict.ts'
import type { Sample, ServerJournal } from '../state/drill.ts'

export interface FailoverRun {
  /** hactl's version. */
  readonly hactl: string
  readonly cluster: string
  readonly servers: readonly string[]
  /** ISO 8601 in UTC, by the controller's clock. */
  readonly beganAt: string
  readonly endedAt: string
  /** The largest bound that outages were judged by; undefined: none. */
  readonly maxOutageMs: number | undefined
  /** The exit status of the run. */
  readonly exit: number
  /** Problems that belong to no drill: why the run ended early, which drills were skipped. */
  readonly problems: readonly string[]
  readonly drills: readonly DrillAccount[]
}

/** One drill on one virtual address, carried out or refused. */
export interface DrillAccount {
  /** What it does, in the words of its file. */
  readonly title: string
  readonly verdict: Verdict
  /** undefined where it was refused before anybody knew who holds the address. */
  readonly about: DrillCase | undefined
  /** The URL of the probes: "http://198.51.100.200:80/". */
  readonly asked: string
  /** Empty where it was refused. */
  readonly samples: readonly Sample[]
  readonly journals: readonly ServerJournal[]
}
