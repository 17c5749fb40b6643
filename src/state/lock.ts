/** The cluster lock. Types only. */

export interface LockInfo {
  readonly id: string
  readonly owner: string
  readonly reason: string
  /** Seconds since the last heartbeat, by the server's clock. */
  readonly ageSeconds: number
}
