/**
 * Every way in which hactl can stop, and what the operator can usually conclude about the servers from it.
 * The exit status answers "what state are my servers in?", not "which module threw?". exit-status.ts makes it from the code and from what
 * was changed.
 */
export const EXIT_OF = {
  E_INTERNAL: 1,
  E_OUTPUT: 1,
  E_USAGE: 3,
  E_INVENTORY_MISSING: 3,
  E_INVENTORY_INVALID: 3,
  E_PLAYBOOK_INVALID: 3,
  E_NOT_INTERACTIVE: 3,
  E_DECLINED: 3,
  E_SECRET: 3,
  E_NEVER_FAILS_OVER: 3,
  E_SSH_UNREACHABLE: 4,
  E_SSH_AUTH: 4,
  E_SSH_HOST_KEY: 4,
  E_SSH_CONFIG: 4,
  E_SUDO: 4,
  E_OS_UNSUPPORTED: 5,
  E_NO_SYSTEMD: 5,
  E_NO_INTERFACE: 5,
  E_VIP_TAKEN: 5,
  E_FOREIGN_FILE: 5,
  E_SAME_MACHINE: 5,
  E_CLOCK: 5,
  E_DISK_FULL: 5,
  E_PORT_TAKEN: 5,
  E_FIREWALL: 5,
  E_VRRP_BLOCKED: 5,
  E_VRID_TAKEN: 5,
  E_LOCKED: 5,
  E_PROBE_CUT: 5,
  E_UNHEALTHY: 5,
  E_CONFIG_REFUSED: 5,
  E_NO_HISTORY: 5,
  E_PACKAGE_UNAVAILABLE: 5,
  E_FORMER_MEMBER: 5,
  E_UNKNOWN_TO_PEERS: 5,
  E_STATE_FORMAT: 5,
  E_COMMAND_FAILED: 6,
  E_COMMAND_TIMEOUT: 6,
  E_CONNECTION_LOST: 6,
  E_CHANGED_MEANWHILE: 6,
  E_GATE: 6,
  E_FAILOVER_NONE: 7,
  E_FAILOVER_SLOW: 7,
  E_FAILOVER_UNWANTED: 7,
  E_TWO_MASTERS: 7,
  E_UNDO_FAILED: 8,
  E_STILL_OPEN: 9,
  E_INTERRUPTED: 130,
} as const

export type ErrorCode = keyof typeof EXIT_OF

export interface HactlErrorInit {
  readonly code: ErrorCode
  /** One line: what happened, in the operator's words. */
  readonly what: string
  /** Why it happened or what was seen: one entry per line. */
  readonly why?: readonly string[]
  /** What the operator can do about it: a command to run or a key to set. */
  readonly fix?: string
  /** Name of the server as the inventory has it. */
  readonly server?: string
  readonly cause?: unknown
  /** No shell has read the script that this error is about, so no part of it ran. */
  readonly didNotRun?: boolean
}

/** The one error class: carries all that a view needs, prints nothing, ends nothing. */
export class HactlError extends Error {
  readonly code: ErrorCode
  readonly server: string | undefined
  readonly why: readonly string[]
  readonly fix: string | undefined
  readonly didNotRun: boolean

  constructor(init: HactlErrorInit) {
    super(init.what, { cause: init.cause })
    this.name = 'HactlError'
    this.code = init.code
    this.server = init.server
    this.why = init.why ?? []
    this.fix = init.fix
    this.didNotRun = init.didNotRun ?? false
  }
}

/** A file of this machine that exists and cannot be used: it is a folder or a device, too large, or not readable by this user. */
export class UnusableFile extends Error {
  /** In an operator's words, without the path: "it is a folder". */
  readonly reason: string

  constructor(path: string, reason: string, cause?: unknown) {
    super(`${path} cannot be read: ${reason}`, { cause })
    this.name = 'UnusableFile'
    this.reason = reason
  }
}

/** Several servers failed: all of them are reported, the most serious decides the exit status. */
export class HactlErrors extends HactlError {
  readonly errors: readonly HactlError[]

  constructor(errors: readonly HactlError[]) {
    const worst = worstOf(errors)
    super({ code: worst.code, what: `${errors.length} problems`, cause: worst })
    this.name = 'HactlErrors'
    this.errors = errors
  }
}

/** The errors that were thrown together as this one. */
export function eachOf(error: HactlError): readonly HactlError[] {
  return error instanceof HactlErrors ? error.errors.flatMap(eachOf) : [error]
}

/** What every error in this one says: what, why and fix, one entry per line. */
export function linesOf(error: HactlError): readonly string[] {
  return eachOf(error).flatMap(({ message, why, fix }) => [message, ...why, ...(fix === undefined ? [] : [fix])])
}

/** Throws one error as it is, and several as one HactlErrors. Returns where there are none. */
export function throwAll(errors: readonly HactlError[]): void {
  const [only] = errors
  if (only !== undefined) throw errors.length === 1 ? only : new HactlErrors(errors)
}

/** One answer of the preflight, as it is shown. */
export interface PreflightRow {
  readonly check: string
  readonly server: string
  readonly verdict: 'passed' | 'warning' | 'failed' | 'unknown'
  /** What was found, in one line. */
  readonly found: string
  /** What would fix it. */
  readonly fix?: string | undefined
}

/** Servers that failed the preflight: every reason on every server, and the checks that passed. */
export class PreflightErrors extends HactlErrors {
  readonly rows: readonly PreflightRow[]

  constructor(errors: readonly HactlError[], rows: readonly PreflightRow[]) {
    super(errors)
    this.name = 'PreflightErrors'
    this.rows = rows
  }
}

// 8 outranks all others (something stays broken). An interrupt comes next, then errors that left a change, then errors that did not.
const RANK = [8, 130, 143, 6, 7, 9, 1, 5, 4, 3]

/** Less for what is more serious. */
function rankOf(status: number): number {
  const at = RANK.indexOf(status)
  return at < 0 ? RANK.length : at
}

/** The most serious of several exit statuses, by what it says about the servers; 0 where there are none. */
export function worstStatus(statuses: readonly number[]): number {
  return statuses.toSorted((a, b) => rankOf(a) - rankOf(b))[0] ?? 0
}

/**
 * The most serious of several errors, by what it says about the servers. `statusOf` gives the exit status of an error; the default is its
 * code's own, which also decides between equals.
 */
export function worstOf(errors: readonly HactlError[], statusOf = (code: ErrorCode): number => EXIT_OF[code]): HactlError {
  const [worst] = errors.toSorted(
    (a, b) => rankOf(statusOf(a.code)) - rankOf(statusOf(b.code)) || rankOf(EXIT_OF[a.code]) - rankOf(EXIT_OF[b.code]),
  )
  if (worst === undefined) throw new TypeError('worstOf needs at least one error')
  return worst
}

/** Anything thrown, as a HactlError. Any other error is a fault of hactl itself (exit 1). */
export function asHactlError(thrown: unknown): HactlError {
  if (thrown instanceof HactlError) return thrown
  const what = thrown instanceof Error ? thrown.message : String(thrown)
  return new HactlError({
    code: 'E_INTERNAL',
    what,
    fix: 'this is a fault in hactl: run again with --verbose and report what it prints',
    cause: thrown,
  })
}
