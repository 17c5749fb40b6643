/** What the commands ask of the app layer, and what they get back. Types only. */
import type { createApp } from '../app/app.ts'
import type { EngineEvent } from '../engine/events.ts'
import type { Ports } from '../ports.ts'
import type { Secret } from '../secret.ts'

export type { CheckReport } from '../app/check.ts'
export type { DeployReport } from '../app/deploy.ts'
export type { ServerStatus, StatusReport } from '../app/status.ts'
export type { UnlockReport } from '../app/unlock.ts'

export type OnEvent = (event: EngineEvent) => void

/** What every command that goes to servers takes. */
export interface RunInput {
  /** Absolute path. */
  readonly inventoryPath: string
  /** Server names; empty for all. */
  readonly limit: readonly string[]
  /** How many servers are worked on at once. */
  readonly forks: number
  /** Bound for getting into one server, in ms. */
  readonly timeoutMs: number
  readonly becomePassword?: Secret
  readonly verbose: boolean
}

export interface DrillAnnouncement {
  readonly drills: readonly { readonly drill: string; readonly server: string; readonly title: string }[]
  /** connections: open right now through this address; undefined where it could not be counted. */
  readonly vips: readonly { readonly address: string; readonly holder: string; readonly connections: number | undefined }[]
  /** The longest interruption this may cause, in ms; undefined where unknown. */
  readonly worstMs: number | undefined
}

export interface VerifyInput extends RunInput {
  /** Names of drills, in order; empty: the default one. */
  readonly drills: readonly string[]
  /** Every drill that kills or reboots no server; those too when `destructive`. */
  readonly all: boolean
  readonly destructive: boolean
  readonly maxOutageMs?: number
  /** URL to ask instead of the inventory's probe. */
  readonly probe?: string
  /** "controller" or the name of a server: where the probes come from. */
  readonly from?: string
  readonly confirm: (what: DrillAnnouncement) => Promise<boolean>
}

export interface DrillResult {
  readonly drill: string
  readonly vip: string
  readonly verdict: 'passed' | 'failed' | 'refused'
  readonly from: string | undefined
  readonly predicted: string | undefined
  readonly to: string | undefined
  readonly outageMs: number | undefined
  readonly failedProbes: number
  readonly probes: number
  readonly holdersMax: number
  readonly failback: string | undefined
  readonly failbackOutageMs: number | undefined
  readonly restored: boolean
  /** Why it failed or was refused, one line each. */
  readonly reasons: readonly string[]
}

export interface VerifyReport {
  readonly drills: readonly DrillResult[]
  /** The bound that the outages were judged by. */
  readonly maxOutageMs: number | undefined
  readonly exit: number
  readonly problems: readonly string[]
}

export type AppFunctions = ReturnType<typeof createApp> & {
  verifyFailover(input: VerifyInput, ports: Ports, onEvent: OnEvent): Promise<VerifyReport>
}
