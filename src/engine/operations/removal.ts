/** Takes hactl's own files off servers, and the names of those servers out of the lists of the others. */
import { type Member, memberLine } from '../../domain/members.ts'
import { TRACK_DIR } from '../../domain/paths.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { forgetMembersScript, forgetStateScript, hasMembersScript, removeScript } from '../apply/remove.ts'
import { runSteps } from '../apply/steps.ts'
import { waitsOf } from '../apply/change.ts'
import { assertNotInterrupted, uninterrupted } from '../interrupt.ts'
import { REMOVE_DEADLINE_MS, type Waits, withStop } from '../limits.ts'
import { withLock } from '../lock.ts'
import { asHactlError, HactlError } from '../../errors.ts'
import type { RunOptions, Session } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { holdersOf, type Looked } from './look.ts'
import { type LockedRun, type Run, underLock } from './run.ts'

const SHORT_DEADLINE_MS = 15_000
// A change that outlived its connection is waited for.
const FORGET_DEADLINE_MS = 120_000

/** Whether hactl has put anything on this server. */
export function isOurs(node: ObservedNode): boolean {
  return node.ownedPaths !== undefined
}

/**
 * Takes away from these servers exactly what hactl put there, and restores what it replaced: one server after the other, holders of an
 * address last. An interrupt counts between two servers. Throws E_INTERRUPTED and what locking and runSteps throw, with how far it came.
 */
export async function removeFrom(run: Looked, servers: readonly string[]): Promise<void> {
  const { cluster, links, nodes } = run
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const holders = new Set(addresses.flatMap(address => holdersOf(nodes, address)))
  const order = servers.toSorted((a, b) => Number(holders.has(a)) - Number(holders.has(b)))
  await underLock(run, locked => removeEach(locked, order), order)
  const options: RunOptions = { effect: 'none', label: 'forget this server', deadlineMs: SHORT_DEADLINE_MS }
  await Promise.allSettled(order.map(server => links.current(server).run(forgetStateScript(), options)))
}

async function removeEach(run: LockedRun, order: readonly string[]): Promise<void> {
  for (const [index, server] of order.entries()) {
    const progress = progressOf(order, index)
    assertNotInterrupted(run.ports.signal, {
      what: `interrupted before ${server}`,
      why: progress,
      fix: 'run hactl remove again to continue',
    })
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
