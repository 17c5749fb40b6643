import { observeNode } from '../engine/observe.ts'
import { breakLock } from '../engine/lock.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { loadCluster } from './load.ts'
import { probeRequestFor } from './observe-cluster.ts'

export interface UnlockInput extends ConnectOptions {
  readonly inventoryPath: string
  /** Break the lock of a run that still shows signs of life. */
  readonly force: boolean
}

export interface UnlockReport {
  readonly servers: readonly {
    readonly name: string
    readonly lock: { readonly owner: string; readonly reason: string; readonly ageSeconds: number } | undefined
    readonly released: boolean
  }[]
}

/** Removes locks of dead runs; of living ones too where `force`. */
export async function unlock(input: UnlockInput, ports: Ports): Promise<UnlockReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const targets = await targetsOf(loaded, input, ports)
  return withConnections(
    targets,
    input.forks,
    ports,
    async session => {
      const { lock } = await observeNode(session, probeRequestFor(loaded.cluster), ports.signal)
      const released = lock !== undefined && (await breakLock(session, input.force))
      return { name: session.server, lock, released }
    },
    async (connections, results) => {
      throwAll(connections.failures)
      return { servers: loaded.cluster.servers.flatMap(server => results.get(server.name) ?? []) }
    },
  )
}
