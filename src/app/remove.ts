import { assertConfirmed } from '../engine/operations/confirm.ts'
import type { Looked } from '../engine/operations/look.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { assertMayWait, forgetMembers, isOurs, removalEnds, removeFrom } from '../engine/operations/removal.ts'
import type { RollOut } from '../engine/operations/roll-out.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, withReachable } from './connect.ts'
import { type LoadedCluster, loadCluster } from './load.ts'
import { withServers } from './with-servers.ts'

export interface RemoveInput extends ConnectOptions {
  readonly inventoryPath: string
  /** How long to wait for connections to addresses that have moved away from a server, and whether to go on where the time is over. */
  readonly wait: RollOut['wait']
  readonly confirm: (what: RemoveAnnouncement) => Promise<boolean>
}

export interface RemoveAnnouncement {
  /** The operator types it to confirm. */
  readonly cluster: string
  readonly servers: readonly { readonly name: string; readonly files: readonly string[] }[]
  /** Virtual addresses that no server will hold afterwards; none where members stay. */
  readonly addresses: readonly string[]
  /** Which open connections end. */
  readonly warnings: readonly string[]
}

export interface RemoveReport {
  readonly servers: readonly { readonly name: string; readonly removed: readonly string[] }[]
}

/**
 * Takes away exactly what hactl put on these servers and restores what it replaced: backups first, holders last. Throws E_UNHEALTHY and
 * E_DECLINED (nothing was changed), E_STILL_OPEN (9: no connection was cut), and what removeFrom, connecting and looking throw.
 */
export async function remove(input: RemoveInput, ports: Ports, onEvent: OnEvent): Promise<RemoveReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  return withServers(loaded, input, { command: 'remove', ports, onEvent }, async run => {
    const { cluster, nodes } = run
    throwAll(preflightErrors(cluster, nodes, { minded: 'locks' }))
    const ours = nodes.filter(isOurs).map(node => node.server)
    if (ours.length > 0) {
      if (input.wait.waitMs !== undefined) assertMayWait(run)
      assertConfirmed(await input.confirm(announcementOf(run)), 'remove')
      await removeFrom(run, ours, input.wait)
    }
    // Also where nothing was left to remove: a removal that was cut off may have come so far, and no further.
    await tellTheOthers(loaded, input, run)
    return { servers: nodes.map(node => ({ name: node.server, removed: node.ownedPaths ?? [] })) }
  })
}

function announcementOf(run: Looked): RemoveAnnouncement {
  const { cluster, nodes } = run
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  return {
    cluster: cluster.name,
    servers: nodes.map(node => ({ name: node.server, files: node.ownedPaths ?? [] })),
    addresses: nodes.length < cluster.servers.length ? [] : addresses,
    warnings: removalEnds(run),
  }
}

/** Servers that stay no longer count the removed ones as members, which may then leave the inventory. Warns of a server that still does. */
async function tellTheOthers(loaded: LoadedCluster, input: ConnectOptions, run: Looked): Promise<void> {
  const { cluster, observed, ports, onEvent } = run
  const staying = cluster.servers.flatMap(({ name }) => (observed.has(name) ? [] : [name]))
  const left = cluster.servers.filter(({ name }) => observed.has(name))
  if (staying.length === 0) return
  await withReachable(
    loaded,
    { ...input, limit: staying },
    ports,
    session => forgetMembers(run, session, left),
    async (_, told) => {
      const names = left.map(({ name }) => name).join(',')
      for (const server of staying) {
        if (told.get(server) === true) continue
        onEvent({
          kind: 'warning',
          server,
          text: `this server was not updated and still lists ${names} as members: run hactl deploy --forget ${names} after they have left the inventory`,
        })
      }
    },
  )
}
