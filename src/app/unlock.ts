import { observeNode } from '../engine/observe.ts'
import { breakLock } from '../engine/lock.ts'
import { asHactlError, HactlError, throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { forkMap } from '../engine/fan-out.ts'
import { type ConnectOptions, withReachable } from './connect.ts'
import { loadCluster } from './load.ts'
import { probeRequestFor } from '../engine/operations/look.ts'

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

/** Removes locks of dead runs, and with `force` those of living runs too. Throws what went wrong on all servers together. */
export async function unlock(input: UnlockInput, ports: Ports): Promise<UnlockReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  return withReachable(
    loaded,
    input,
    ports,
    session => observeNode(session, probeRequestFor(loaded.cluster), ports.signal),
    async ({ links, failures }, observed) => {
      // In the inventory's order, not that of the answers.
      const seen = loaded.cluster.servers.flatMap(({ name }) => {
        const node = observed.get(name)
        return node === undefined ? [] : [{ name, lock: node.lock }]
      })
      const broken = await forkMap(seen, input.forks, async ({ name, lock }) => {
        if (lock === undefined) return { name, lock, released: false }
        return breakLock(links.current(name), input.force).then(
          released => ({ name, lock, released }),
          (error: unknown) => asHactlError(error),
        )
      })
      throwAll([...failures, ...broken.flatMap(each => (each instanceof HactlError ? [each] : []))])
      return { servers: broken.flatMap(each => (each instanceof HactlError ? [] : [each])) }
    },
  )
}
