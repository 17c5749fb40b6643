/** Which server becomes master for every set of servers whose haproxy has failed. */
import { canonicalAddress } from '../addresses.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import type { Candidate, Election } from './priority.ts'
import { effectivePriority, ownerOf, weightContribution } from './priority.ts'

export interface FailoverRow {
  /** Servers whose haproxy has failed, in rank order; empty: all are healthy. */
  readonly failed: readonly string[]
  /** By instance name; undefined: nobody holds the address. */
  readonly master: Readonly<Record<string, string | undefined>>
  /** What is wrong or remarkable in this row. */
  readonly note?: string
}

/** What a failed haproxy means to keepalived: the check's weight, or FAULT. */
export type FailureKind = 'weight' | 'fault'

/** Up to this many servers every subset is shown; beyond, single failures, pairs and all together. */
const ALL_SUBSETS_UP_TO = 6

/** A stopped or crashed haproxy: fast has a tracker of weight 0 for it whatever the check's weight is. */
export function stopFailureKind(cluster: Cluster): FailureKind {
  return cluster.profile === 'fast' || cluster.check.weight === 0 ? 'fault' : 'weight'
}

/** A haproxy that fails its check without ending. */
export function checkFailureKind(cluster: Cluster): FailureKind {
  return cluster.check.weight === 0 ? 'fault' : 'weight'
}

function candidates(cluster: Cluster, instance: Instance, failed: ReadonlySet<string>, kind: FailureKind): readonly Candidate[] {
  return cluster.servers.map(server => {
    const passing = !failed.has(server.name)
    const base = instance.priority[server.name] ?? 1
    return {
      server: server.name,
      priority: effectivePriority(base, [weightContribution(cluster.check.weight, passing)]),
      // keepalived ignores the trackers of a server of priority 255: they never put it into FAULT.
      eligible: passing || kind === 'weight' || base === 255,
      nopreempt: instance.nopreempt && base !== 255,
      address: instance.unicastSrcIp[server.name] ?? canonicalAddress(server.host)?.address,
    }
  })
}

/** The election of one instance where these servers have failed and `incumbent` had the address before. */
export function electionOf(
  cluster: Cluster,
  instance: Instance,
  failed: readonly string[],
  incumbent: string | undefined,
  kind: FailureKind = stopFailureKind(cluster),
): Election {
  return ownerOf(candidates(cluster, instance, new Set(failed), kind), incumbent)
}

/** Effective priority of a server in one instance, its haproxy passing or failed. */
export function effectivePriorityOf(cluster: Cluster, instance: Instance, server: string, passing: boolean): number {
  return effectivePriority(instance.priority[server] ?? 1, [weightContribution(cluster.check.weight, passing)])
}

/** Who holds the address when all servers are healthy; of several that keepalived's limit made equal, the one with the highest priority as written. */
export function homeOf(cluster: Cluster, instance: Instance): string | undefined {
  const { owner, tied } = electionOf(cluster, instance, [], undefined)
  return tied.toSorted((a, b) => (instance.priority[b] ?? 0) - (instance.priority[a] ?? 0))[0] ?? owner
}

/** Every outcome of a row, for each server that may have held the address before. */
export function ownersOf(
  cluster: Cluster,
  instance: Instance,
  failed: readonly string[],
  kind?: FailureKind,
): ReadonlySet<string | undefined> {
  return new Set(cluster.servers.map(s => electionOf(cluster, instance, failed, s.name, kind).owner))
}

/** Whether a server whose haproxy has failed may hold the address although there is a healthy server. */
export function isWrong(cluster: Cluster, owners: ReadonlySet<string | undefined>, failed: readonly string[]): boolean {
  return failed.length < cluster.servers.length && [...owners].some(owner => owner === undefined || failed.includes(owner))
}

/** Sets of failed servers, the smallest first; within a size in rank order. */
export function failureSets(servers: readonly string[]): readonly (readonly string[])[] {
  const sets: (readonly string[])[] = []
  const largest = servers.length <= ALL_SUBSETS_UP_TO ? servers.length : 2
  const grow = (from: number, chosen: readonly string[], size: number): void => {
    if (chosen.length === size) {
      sets.push(chosen)
      return
    }
    servers.slice(from).forEach((server, i) => grow(from + i + 1, [...chosen, server], size))
  }
  for (let size = 0; size <= largest; size++) grow(0, [], size)
  if (largest < servers.length) sets.push(servers)
  return sets
}

function noteOf(cluster: Cluster, failed: readonly string[]): string | undefined {
  const notes = cluster.instances.flatMap(instance => {
    const home = homeOf(cluster, instance)
    const { owner, tied } = electionOf(cluster, instance, failed, home)
    const owners = ownersOf(cluster, instance, failed)
    const where = cluster.instances.length > 1 ? `${instance.name}: ` : ''
    if (isWrong(cluster, owners, failed)) {
      const sick = [...owners].filter(o => o !== undefined && failed.includes(o))
      return [`${where}${sick.join(', ')} may keep the address although its haproxy has failed`]
    }
    if (owner === undefined) return [`${where}nobody holds the address`]
    if (tied.length > 1) return [`${where}${tied.join(' and ')} are equal: both take over for a moment`]
    // nopreempt leaves the address on the server that has it. That is its purpose, so it is said once and not per row.
    if (owners.size > 1 && !instance.nopreempt) return [`${where}stays with whoever holds it: ${[...owners].join(' or ')}`]
    if (failed.length === cluster.servers.length) return [`${where}all have failed: ${owner} keeps the address`]
    return []
  })
  return notes.length === 0 ? undefined : notes.join('; ')
}

/** Starts from the state in which all servers are healthy and each address is on its first server. A note says where the outcome depends on more. */
export function failoverTable(cluster: Cluster): readonly FailoverRow[] {
  return failureSets(cluster.servers.map(s => s.name)).map(failed => {
    const master = Object.fromEntries(
      cluster.instances.map(i => [i.name, electionOf(cluster, i, failed, homeOf(cluster, i)).owner] as const),
    )
    const note = noteOf(cluster, failed)
    return note === undefined ? { failed, master } : { failed, master, note }
  })
}
