/** What a run works with, from its first look at the servers to its last: one value in place of a row of arguments. */
import type { Cluster } from '../../domain/cluster-types.ts'
import type { Ports } from '../../ports.ts'
import type { EngineEvent } from '../events.ts'
import type { Links } from '../links.ts'
import { type LockClaim, withLock } from '../lock.ts'

export type OnEvent = (event: EngineEvent) => void

export interface Run {
  /** What the servers are, or shall be when the run is done. */
  readonly cluster: Cluster
  /** The connections to the servers that --limit leaves. */
  readonly links: Links
  /** Among them the ledger: every session of `links` notes in it what it changes. */
  readonly ports: Ports
  readonly onEvent: OnEvent
  /** Names the run. Called when the lock is taken and not before, because the history sorts by the time in the name. */
  readonly claim: () => LockClaim
}

/** A run that holds the cluster's lock. */
export interface LockedRun extends Run {
  readonly lock: LockClaim
}

/**
 * Runs `work` while the run holds the lock on `servers` (all of its links unless given), in the order given. Throws E_LOCKED, which names
 * the owner, and what `work` throws.
 */
export function underLock<R extends Run, T>(
  run: R,
  work: (run: R & LockedRun) => Promise<T>,
  servers: readonly string[] = run.links.servers,
): Promise<T> {
  const { links, ports, onEvent } = run
  const lock = run.claim()
  return withLock(
    servers.map(server => links.current(server)),
    lock,
    ports.clock,
    () => {
      onEvent({ kind: 'lock-taken', id: lock.id, servers })
      return work({ ...run, lock })
    },
    session => links.current(session.server),
  )
}
