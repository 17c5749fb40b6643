import { forgetStateScript, removeScript } from '../engine/apply/remove.ts'
import { runSteps } from '../engine/apply/steps.ts'
import { RUN_DIR } from '../domain/paths.ts'
import type { EngineEvent } from '../engine/events.ts'
import { withLock } from '../engine/lock.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { assertAllIn, type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { loadCluster } from './load.ts'
import { lockClaim, runIdFor } from './lock-claim.ts'
import { holdersOf, observeAndTell } from './observe-cluster.ts'
import { assertFit, preflightErrors } from './preflight.ts'

// apt may wait for its lock.
const REMOVE_DEADLINE_MS = 900_000

export interface RemoveInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly confirm: (what: RemoveAnnouncement) => Promise<boolean>
}

export interface RemoveAnnouncement {
  /** To be typed by whoever confirms. */
  readonly cluster: string
  readonly servers: readonly { readonly name: string; readonly files: readonly string[] }[]
  /** Virtual addresses that nobody will hold afterwards. */
  readonly addresses: readonly string[]
}

export interface RemoveReport {
  readonly servers: readonly { readonly name: string; readonly removed: readonly string[] }[]
}

/** Takes away exactly what hactl put on these servers and gives back what it replaced: backups first, holders last. */
export async function remove(input: RemoveInput, ports: Ports, onEvent: (event: EngineEvent) => void): Promise<RemoveReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  const targets = await targetsOf(loaded, input, ports)
  return withConnections(
    targets,
    input.forks,
    ports,
    session => observeAndTell(session, cluster, ports.clock, onEvent, ports.signal),
    async (connections, observed) => {
      assertAllIn(connections.failures)
      const nodes = [...observed.values()]
      assertFit(preflightErrors(cluster, nodes, { minded: 'locks' }))
      const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      const servers = nodes.map(node => ({
        name: node.server,
        files: Object.values(node.files).flatMap(file => (file?.ownedSha256 === undefined ? [] : [file.path])),
      }))
      if (servers.every(server => server.files.length === 0)) return { servers: servers.map(({ name }) => ({ name, removed: [] })) }
      if (!(await input.confirm({ cluster: cluster.name, servers, addresses }))) {
        throw new HactlError({ code: 'E_DECLINED', what: 'not confirmed; nothing was changed', fix: '--yes removes without asking' })
      }
      const runId = runIdFor(ports)
      const claim = lockClaim('remove', ports, runId)
      const holders = new Set(addresses.flatMap(address => holdersOf(nodes, address)))
      const order = [...connections.sessions.values()].sort((a, b) => Number(holders.has(a.server)) - Number(holders.has(b.server)))
      await withLock(order, claim, ports.clock, async () => {
        for (const session of order) {
          await runSteps(session, removeScript(claim.id, RUN_DIR), {
            label: 'remove what hactl put there',
            deadlineMs: REMOVE_DEADLINE_MS,
            tell: true,
            failure: 'E_COMMAND_FAILED',
            clock: ports.clock,
            onEvent,
            signal: ports.signal,
          })
        }
      })
      await Promise.allSettled(order.map(session => session.run(forgetStateScript(), { label: 'forget this server', deadlineMs: 15_000 })))
      return { servers: servers.map(({ name, files }) => ({ name, removed: files })) }
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}
