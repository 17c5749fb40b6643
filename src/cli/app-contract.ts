/** What the commands ask of the app layer. Types only. */
import type { createApp } from '../app/app.ts'
import type { VerifyReport } from '../app/failover-report.ts'
import type { AskPassphrase } from '../ports.ts'
import type { Secret } from '../secret.ts'

/** Tests pass their own. */
export type AppFunctions = ReturnType<typeof createApp>

export type DrillResult = VerifyReport['drills'][number]

/** The input of every command that connects to servers. */
export interface RunInput {
  /** Absolute path. */
  readonly inventoryPath: string
  /** Server names; empty for all. */
  readonly limit: readonly string[]
  /** How many servers are worked on at the same time. */
  readonly forks: number
  /** Bound for logging in to one server, in ms; what commands on it may take grows with it (see patienceFor). */
  readonly timeoutMs: number
  readonly becomePassword?: Secret
  /** undefined: there is no terminal to ask at. */
  readonly askPassphrase?: AskPassphrase
  readonly verbose: boolean
}
