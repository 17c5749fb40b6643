/** A planned hand-over for maintenance: when it may be done, what it will move, and the file that keeps it over a reboot. */
import type { ObservedNode } from '../state/observed.ts'
import { isHeld } from './addresses.ts'
import type { Cluster } from './cluster-types.ts'
import { handOverLimitMs } from './hand-over.ts'
import { holderProblems, movingProblems, nodeProblems } from './health.ts'
import { handOverOffset, isDrained, TRACKER_FILES } from './trackers.ts'

/** The time that a busy server, its neighbours and samples in transit may add to a hand-over before it counts as failed. */
const BUSY_MS = 5000

/** Why no server could take over from this one, one line each; empty where one could. `nodes` may lack servers left out by --limit. */
export function takerProblems(cluster: Cluster, nodes: readonly ObservedNode[], server: string): readonly string[] {
  const others = cluster.servers.filter(other => other.name !== server)
  const reasons = others.map(({ name }) => {
    const node = nodes.find(own => own.server === name)
    if (node === undefined) return `${name}: left out, so its state is unknown`
    const problems = [...nodeProblems(cluster, node), ...(isDrained(node) ? ['is drained itself'] : [])]
    return problems.length === 0 ? undefined : `${name}: ${problems.join('; ')}`
  })
  if (reasons.includes(undefined)) return []
  return [`nobody is left to take over from ${server}`, ...reasons.filter(reason => reason !== undefined)]
}

/** Why addresses must not be moved now: they are not held as they should be, or are moving already. */
export function restlessProblems(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  const isComplete = nodes.length === cluster.servers.length
  return [...(isComplete ? holderProblems(cluster, nodes) : []), ...movingProblems(cluster, nodes)]
}

/** Why this server must not be drained now, one line each; empty where it may. */
export function drainProblems(cluster: Cluster, nodes: readonly ObservedNode[], server: string): readonly string[] {
  return [...takerProblems(cluster, nodes, server), ...restlessProblems(cluster, nodes)]
}

/** What it costs to drain this server in spite of drainProblems. */
export function drainCost(cluster: Cluster, nodes: readonly ObservedNode[], node: ObservedNode): string {
  const held = addressesOn(cluster, node)
  if (takerProblems(cluster, nodes, node.server).length === 0) return 'the virtual addresses may be on no server for a moment, or on two'
  if (held.length === 0) return 'the cluster has one server fewer that can take over'
  return handOverOffset(cluster) === -253
    ? `${held.join(', ')} stays on ${node.server} until another server is healthy, and moves to that server at once`
    : `${node.server} gives ${held.join(', ')} up: no server answers there until another server is healthy`
}

/** What to say once this server is drained: whether the cluster can still lose another one. */
export function drainNotes(cluster: Cluster, nodes: readonly ObservedNode[], server: string): readonly string[] {
  const left = nodes
    .filter(node => node.server !== server && nodeProblems(cluster, node).length === 0 && !isDrained(node))
    .map(node => node.server)
  return left.length === 1 ? [`${left[0]} is the only server left: no server can take over from it`] : []
}

/** The virtual addresses that this server holds. */
export function addressesOn(cluster: Cluster, node: ObservedNode): readonly string[] {
  return cluster.instances
    .flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
    .filter(address => isHeld(node.facts.addresses, address))
}

/**
 * The addresses that the server will take back once it is undrained: those of instances in which it preempts and then has the highest
 * priority. Empty where it is not healthy enough to hold them.
 */
export function takesBack(cluster: Cluster, nodes: readonly ObservedNode[], server: string): readonly string[] {
  const node = nodes.find(own => own.server === server)
  if (node === undefined || nodeProblems(cluster, node).length > 0) return []
  const held = addressesOn(cluster, node)
  return cluster.instances.flatMap(instance => {
    const own = node.instances.find(view => view.name === instance.name)
    if (own === undefined || own.nopreempt || instance.nopreempt) return []
    const priority = own.basePriority + Number(node.trackers[TRACKER_FILES.haproxy_offset] ?? 0)
    const others = nodes
      .filter(other => other.server !== server)
      .flatMap(other => other.instances.filter(view => view.name === instance.name && view.state !== 'FAULT'))
    if (others.some(view => view.effectivePriority >= priority)) return []
    return instance.virtualAddresses.map(vip => vip.address).filter(address => !held.includes(address))
  })
}

/** How long a hand-over by priority is awaited, in ms, before it counts as failed. `patience`: that of the sessions. */
export function drainLimitMs(cluster: Cluster, patience: number): number {
  const delayMs = Math.max(0, ...cluster.instances.map(instance => instance.preemptDelayMs))
  return 2 * handOverLimitMs(cluster) + delayMs + BUSY_MS * patience
}

/**
 * Drains the server again at its next boot, before keepalived starts: /run is empty then, and keepalived.service makes only the track
 * files that are missing. `f` and not `f+`, so that only a boot brings the drain back (tmpfiles.d(5)).
 */
export function renderDrainTmpfiles(cluster: Cluster): string {
  return [
    '# hactl drain --persist made this file: it drains this server at every boot. hactl undrain takes it away.',
    `f ${TRACKER_FILES.drain} 0644 root root - ${handOverOffset(cluster)}`,
    '',
  ].join('\n')
}
