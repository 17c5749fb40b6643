import { forgetMembersScript, forgetStateScript, hasMembersScript, removeScript } from '../engine/apply/remove.ts'
import { runSteps } from '../engine/apply/steps.ts'
import { type Member, memberLine } from '../domain/members.ts'
import { TRACK_DIR } from '../domain/paths.ts'
import { serviceTableFor } from '../domain/service-scripts.ts'
import type { EngineEvent } from '../engine/events.ts'
import { assertNotInterrupted, uninterrupted } from '../engine/interrupt.ts'
import { type LockClaim, withLock } from '../engine/lock.ts'
import { asHactlError, HactlError, throwAll } from '../errors.ts'
import type { Ports, Session } from '../ports.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { type LoadedCluster, loadCluster } from './load.ts'
import { holdersOf } from '../engine/operations/look.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { withServers } from './with-servers.ts'

// apt may wait for its lock.
const REMOVE_DEADLINE_MS = 900_000
const SHORT_DEADLINE_MS = 15_000
// A change that outlived its connection is waited for.
const FORGET_DEADLINE_MS = 120_000

export interface RemoveInput extends ConnectOptions {
  readonly inventoryPath: string
  readonly confirm: (what: RemoveAnnouncement) => Promise<boolean>
}

export interface RemoveAnnouncement {
  /** To be typed by whoever confirms. */
  readonly cluster: string
  readonly servers: readonly { readonly name: string; readonly files: readonly string[] }[]
  /** Virtual addresses that nobody will hold afterwards; none where members stay. */
  readonly addresses: readonly string[]
}

export interface RemoveReport {
  readonly servers: readonly { readonly name: string; readonly removed: readonly string[] }[]
}

/** Takes away exactly what hactl put on these servers and gives back what it replaced: backups first, holders last. */
export async function remove(input: RemoveInput, ports: Ports, onEvent: (event: EngineEvent) => void): Promise<RemoveReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  return withServers(loaded, input, { command: 'remove', ports, onEvent }, async run => {
    const { links, nodes, observed } = run
    throwAll(preflightErrors(cluster, nodes, { minded: 'locks' }))
    const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
    const staying = cluster.servers.filter(server => !observed.has(server.name))
    const left = cluster.servers.filter(server => observed.has(server.name))
    const claim = run.claim()
    const servers = nodes.map(node => ({ name: node.server, files: node.ownedPaths ?? [] }))
    const report = { servers: servers.map(({ name, files }) => ({ name, removed: files })) }
    const touched = new Set(nodes.flatMap(node => (node.ownedPaths === undefined ? [] : [node.server])))
    if (touched.size === 0) {
      // A removal that was cut off may have come so far, and no further.
      if (staying.length > 0) await tellTheOthers(loaded, input, staying, left, claim, ports, onEvent)
      return report
    }
    if (!(await input.confirm({ cluster: cluster.name, servers, addresses: staying.length > 0 ? [] : addresses }))) {
      throw new HactlError({
        code: 'E_DECLINED',
        what: 'the run was not confirmed; nothing was changed',
        fix: 'add --yes to remove without a question',
      })
    }
    const holders = new Set(addresses.flatMap(address => holdersOf(nodes, address)))
    const order = links.servers
      .map(server => links.current(server))
      .filter(({ server }) => touched.has(server))
      .sort((a, b) => Number(holders.has(a.server)) - Number(holders.has(b.server)))
    await withLock(order, claim, ports.clock, async () => {
      for (const [index, session] of order.entries()) {
        const progress = progressOf(order, index)
        const { server } = session
        assertNotInterrupted(ports.signal, {
          what: `interrupted before ${server}`,
          why: progress,
          fix: 'run hactl remove again to continue',
        })
        // A removal that is cut off leaves a server with half of everything: an interrupt counts between two of them.
        const work = runSteps(uninterrupted(run), server, removeScript(claim.id, serviceTableFor(cluster, server), TRACK_DIR), {
          effect: 'change',
          label: 'remove what hactl put there',
          deadlineMs: REMOVE_DEADLINE_MS,
        })
        await work.catch((error: unknown) => {
          throw stoppedAt(server, progress, error)
        })
      }
    })
    await Promise.allSettled(
      order.map(session =>
        session.run(forgetStateScript(), { effect: 'none', label: 'forget this server', deadlineMs: SHORT_DEADLINE_MS }),
      ),
    )
    if (staying.length > 0) await tellTheOthers(loaded, input, staying, left, claim, ports, onEvent)
    return report
  })
}

function progressOf(order: readonly Session[], index: number): readonly string[] {
  const names = (sessions: readonly Session[]) => sessions.map(({ server }) => server).join(', ')
  const done = index === 0 ? 'nothing was removed from any server before' : `nothing of hactl's is left on ${names(order.slice(0, index))}`
  const left = order.slice(index + 1)
  return left.length === 0 ? [done] : [done, `servers not changed: ${names(left)}`]
}

function stoppedAt(server: string, progress: readonly string[], thrown: unknown): HactlError {
  const error = asHactlError(thrown)
  return new HactlError({
    code: error.code,
    server,
    what: error.message,
    why: [...error.why, ...progress],
    fix: `run hactl remove again to continue${error.fix === undefined ? '' : `; ${error.fix}`}`,
    cause: error,
  })
}

/** Those that stay no longer count on it, so that it may leave the inventory. One that cannot be told still remembers it, and says so. */
async function tellTheOthers(
  loaded: LoadedCluster,
  input: RemoveInput,
  staying: readonly Member[],
  left: readonly Member[],
  claim: LockClaim,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Promise<void> {
  const lines = left.map(memberLine)
  await withConnections(
    await targetsOf(loaded, { ...input, limit: staying.map(({ name }) => name) }, ports),
    input.forks,
    ports,
    async session => {
      const { signal } = ports
      // Where they stand in no list there is nothing to tell, and a lock would leave its traces where hactl has none.
      const look = await session.run(hasMembersScript(lines), {
        effect: 'none',
        label: 'look for a list of members',
        deadlineMs: SHORT_DEADLINE_MS,
        signal,
      })
      if (look.code !== 0) return true
      return withLock([session], claim, ports.clock, async () => {
        const forget = forgetMembersScript(claim.id, lines)
        const { code } = await session.run(forget, {
          effect: 'change',
          label: 'forget the servers that left',
          deadlineMs: FORGET_DEADLINE_MS,
          signal,
        })
        return code === 0
      })
    },
    async (_, told) => {
      for (const { name } of staying) {
        if (told.get(name) === true) continue
        const names = left.map(member => member.name).join(',')
        onEvent({
          kind: 'warning',
          server: name,
          text: `this server was not updated and still lists ${names} as members: run hactl deploy --forget ${names} after they have left the inventory`,
        })
      }
    },
  )
}
