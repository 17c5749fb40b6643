/** What the commands ask of the app layer, and what they get back. Types only. */
import type { EngineEvent } from '../engine/events.ts'
import type { Inventory, Issue } from '../inventory/inventory.ts'
import type { Ports } from '../ports.ts'
import type { Secret } from '../secret.ts'
import type { Plan } from '../state.ts'

export type OnEvent = (event: EngineEvent) => void

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

export interface CheckReport {
  readonly cluster: string
  readonly profile: string
  readonly servers: readonly string[]
  readonly errors: readonly Issue[]
  readonly warnings: readonly Issue[]
  /** For each set of failed servers: who becomes master, by instance; undefined where nobody does. */
  readonly table: readonly {
    readonly failed: readonly string[]
    readonly master: Readonly<Record<string, string | undefined>>
    readonly note?: string
  }[]
  /** worstMs undefined: without bound, failover never happens. */
  readonly outages: readonly {
    readonly event: string
    readonly expectedMs: number
    readonly worstMs: number | undefined
    readonly how: string
  }[]
}

export interface DeployInput extends RunInput {
  /** Take over files that hactl did not make. */
  readonly adopt: boolean
  /** Reload the services although nothing changed. */
  readonly reload: boolean
  readonly confirm: (plan: Plan) => Promise<boolean>
}

export interface DeployReport {
  readonly plan: Plan
  readonly servers: readonly { readonly name: string; readonly changed: readonly string[]; readonly unchanged: number }[]
  /** Virtual address to the server that holds it. */
  readonly holder: Readonly<Record<string, string>>
  readonly durationMs: number
}

export interface StatusReport {
  readonly servers: readonly ServerStatus[]
  readonly vips: readonly { readonly address: string; readonly holders: readonly string[] }[]
  readonly exit: number
  readonly problems: readonly string[]
}

export interface ServerStatus {
  readonly name: string
  readonly reachable: boolean
  readonly state: string
  readonly holds: readonly string[]
  readonly haproxy: string
  readonly keepalived: string
  readonly drift: readonly string[]
  readonly effectivePriority?: number
  readonly problems: readonly string[]
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

/** Locks that were found: `released` is false where it belongs to a run that is still alive. */
export interface UnlockReport {
  readonly servers: readonly {
    readonly name: string
    readonly lock: { readonly owner: string; readonly reason: string; readonly ageSeconds: number } | undefined
    readonly released: boolean
  }[]
}

export interface SetupReport {
  readonly text: string
  readonly issues: readonly Issue[]
}

export interface AppFunctions {
  check(input: { readonly inventoryPath: string }, ports: Ports): Promise<CheckReport>
  checkConf(path: string, ports: Ports): Promise<{ readonly errors: readonly Issue[]; readonly warnings: readonly Issue[] }>
  plan(input: RunInput, ports: Ports, onEvent: OnEvent): Promise<{ readonly plan: Plan }>
  deploy(input: DeployInput, ports: Ports, onEvent: OnEvent): Promise<DeployReport>
  status(input: RunInput, ports: Ports): Promise<StatusReport>
  verifyFailover(input: VerifyInput, ports: Ports, onEvent: OnEvent): Promise<VerifyReport>
  unlock(input: RunInput & { readonly force: boolean }, ports: Ports): Promise<UnlockReport>
  buildInventory(answers: Inventory): Promise<SetupReport>
}
