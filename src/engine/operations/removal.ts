/** Takes hactl's own files off servers, and the names of those servers out of the lists of the others. */
import { addressesOn } from '../../domain/drain.ts'
import { type Member, memberLine } from '../../domain/members.ts'
import { carries } from '../../domain/open-connections/handing.ts'
import { removalWarnings } from '../../domain/open-connections/still-open.ts'
import { TRACK_DIR } from '../../domain/paths.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { forgetMembersScript, forgetStateScript, hasMembersScript, removeScript } from '../apply/remove.ts'
import { runSteps } from '../apply/steps.ts'
import { waitsOf } from '../apply/change.ts'
import { assertNotInterrupted, uninterrupted } from '../interrupt.ts'
import { REMOVE_DEADLINE_MS, type Waits, withStop } from '../limits.ts'
import { withLock } from '../lock.ts'
import { asHactlError, HactlError, throwAll } from '../../errors.ts'
import type { RunOptions, Session } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { holdersOf, type Looked } from './look.ts'
import { type LockedRun, type Run, underLock } from './run.ts'
import { END_WITH_SERVICE, letEnd, type LetEnd } from './windows.ts'

const SHORT_DEADLINE_MS = 15_000
// A change that outlived its connection is waited for.
const FORGET_DEADLINE_MS = 120_000

/** Whether hactl has put anything on this server. */
export function isOurs(node: ObservedNode): boolean {
  return node.ownedPaths !== undefined
}

/** Servers of the removal whose open connections would go on, if another server took their addresses over first, and those addresses. */
function keepingHolders({ cluster, nodes }: Looked): readonly { readonly server: string; readonly held: readonly string[] }[] {
  // Where no server stays, none takes an address over.
  if (nodes.length === cluster.servers.length) return []
  return nodes
    .filter(node => isOurs(node) && carries(node))
    .map(node => ({ server: node.server, held: addressesOn(cluster, node) }))
    .filter(({ held }) => held.length > 0)
}

/** Which open connections the removal ends: "srv-2: WEB: 3 connections are still open here (port 80: 3), and end when this is applied". */
export function removalEnds(run: Looked): readonly string[] {
  const { cluster, nodes } = run
  const removesFrom = (server: string, path: string) =>
    nodes.some(node => node.server === server && node.ownedPaths?.includes(path) === true)
  return [
    ...removalWarnings(cluster, nodes, removesFrom),
    ...keepingHolders(run).map(({ server, held }) => `${server} holds ${held.join(', ')}: what is open to it ends; ${drainFirst(server)}`),
  ]
}

const drainFirst = (server: string) => `hactl drain ${server} --wait 10m lets it end first`

/** Throws E_UNHEALTHY where a server that is to be removed holds an address: its connections are no window, and would not be waited for. */
export function assertMayWait(run: Looked): void {
  throwAll(
    keepingHolders(run).map(
      ({ server, held }) =>
        new HactlError({
          code: 'E_UNHEALTHY',
          server,
          what: `this server was not removed: it holds ${held.join(', ')}`,
          why: ['--wait waits for connections to addresses that have moved away'],
          fix: `${drainFirst(server)}; then run hactl remove again`,
        }),
    ),
  )
}

/**
 * Takes away from these servers exactly what hactl put there, and restores what it replaced: one server after the other, holders of an
 * address last. With `wait.waitMs`, what is open on a server to addresses that have moved away may end first. An interrupt counts between two
 * servers, and during such a wait. Throws E_INTERRUPTED and what locking, letEnd and runSteps throw, with how far it came.
 */
export async function removeFrom(run: Looked, servers: readonly string[], wait: Pick<LetEnd, 'waitMs' | 'force'>): Promise<void> {
  const { cluster, links, nodes } = run
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const holders = new Set(addresses.flatMap(address => holdersOf(nodes, address)))
  const order = servers.toSorted((a, b) => Number(holders.has(a)) - Number(holders.has(b)))
  await underLock(run, locked => removeEach(locked, order, wait), order)
  const options: RunOptions = { effect: 'none', label: 'forget this server', deadlineMs: SHORT_DEADLINE_MS }
  await Promise.allSettled(order.map(server => links.current(server).run(forgetStateScript(), options)))
}

async function removeEach(run: LockedRun, order: readonly string[], wait: Pick<LetEnd, 'waitMs' | 'force'>): Promise<void> {
  for (const [index, server] of order.entries()) {
    const progress = progressOf(order, index)
    const interrupted = { what: `interrupted before ${server}`, why: progress, fix: 'run hactl remove again to continue' }
    assertNotInterrupted(run.ports.signal, interrupted)
    // The question before the removal has said what ends.
    if (wait.waitMs !== undefined) {
      await letEnd(run, server, { ...wait, mayHold: true, fate: END_WITH_SERVICE }).catch((error: unknown) => {
        assertNotInterrupted(run.ports.signal, interrupted)
        throw stoppedAt(server, progress, error)
      })
    }
    // A removal that is cut off leaves a server with half of everything, so an interrupt does not stop it.
    const script = removeScript(run.lock.id, {
      services: serviceTableFor(run.cluster, server),
      watchedFolder: TRACK_DIR,
      waits: waitsOf(run, server),
    })
    const work = runSteps(uninterrupted(run), server, script, {
      effect: 'change',
      label: 'remove what hactl put there',
      deadlineMs: withStop(REMOVE_DEADLINE_MS, run.cluster.stopTimeoutMs),
    })
    await work.catch((error: unknown) => {
      throw stoppedAt(server, progress, error)
    })
  }
}

function progressOf(order: readonly string[], index: number): readonly string[] {
  const done =
    index === 0 ? 'nothing was removed from any server before' : `nothing of hactl's is left on ${order.slice(0, index).join(', ')}`
  const left = order.slice(index + 1)
  return left.length === 0 ? [done] : [done, `servers not changed: ${left.join(', ')}`]
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

/**
 * Takes the members that left out of the list of one server that stays, under its own lock. Resolves to false where that failed, and to
 * true where it is done, or where they stand in no list. Throws what locking and Session.run throw.
 */
export async function forgetMembers({ claim, cluster, ports }: Run, session: Session, left: readonly Member[]): Promise<boolean> {
  const { clock, signal } = ports
  const waits: Waits = { patience: session.patience, stopMs: cluster.stopTimeoutMs }
  const lines = left.map(memberLine)
  // A server without such a list needs no lock, which would leave its traces where hactl has none.
  const look = await session.run(hasMembersScript(lines, waits), {
    effect: 'none',
    label: 'look for a list of members',
    deadlineMs: SHORT_DEADLINE_MS,
    signal,
  })
  if (look.code !== 0) return true
  const lock = claim()
  return withLock([session], lock, clock, async () => {
    const { code } = await session.run(forgetMembersScript(lock.id, lines, waits), {
      effect: 'change',
      label: 'forget the servers that left',
      deadlineMs: withStop(FORGET_DEADLINE_MS, waits.stopMs),
      signal,
    })
    return code === 0
  })
}
