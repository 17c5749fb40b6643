/** Waits for a cluster to be in the state in which a drill may begin. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { drillRefusals, type SplitBrain, splitBrains } from '../../domain/failover/drill.ts'
import type { RemarkEvent } from '../events.ts'
import type { Links } from '../links.ts'
import { observeNode } from '../observe.ts'
import type { Ports } from '../../ports.ts'
import type { ObservedNode } from '../../state.ts'
import { probeRequestFor } from './look.ts'

/** How long a cluster may take to come to rest before a drill is refused. */
const REST_LIMIT_MS = 5000
const REST_LOOK_EVERY_MS = 1000

export interface AtRest {
  readonly nodes: readonly ObservedNode[]
  readonly refusals: readonly string[]
  readonly splits: readonly SplitBrain[]
}

/**
 * The cluster once it is well enough for a drill; or why it is not, after a while of looking. What a deploy or an election has just
 * set in motion is given the time to end; that it was not at rest is told all the same. `splits`: what was split at the last two looks.
 */
export async function settledCluster(
  first: readonly ObservedNode[],
  cluster: Cluster,
  links: Links,
  ports: Ports,
  onEvent: (event: RemarkEvent) => void,
  limitMs: number = REST_LIMIT_MS * links.patience,
): Promise<AtRest> {
  const endMs = ports.clock.monotonic() + limitMs
  let lookedMs = ports.clock.monotonic()
  let nodes = first
  let told = ''
  let splitBefore: readonly SplitBrain[] = []
  for (;;) {
    const refusals = drillRefusals(cluster, nodes)
    const split = splitBrains(cluster, nodes)
    if (refusals.length === 0 || lookedMs >= endMs) {
      return { nodes, refusals, splits: split.filter(({ vip }) => splitBefore.some(before => before.vip === vip)) }
    }
    splitBefore = split
    const text = `the cluster is not at rest yet: ${refusals.join('; ')}`
    if (text !== told) onEvent({ kind: 'warning', text })
    told = text
    await ports.clock.sleep(REST_LOOK_EVERY_MS, ports.signal)
    lookedMs = ports.clock.monotonic()
    nodes = await lookAt(cluster, links, ports)
  }
}

/** A new look at every server. */
export function lookAt(cluster: Cluster, links: Links, ports: Ports): Promise<readonly ObservedNode[]> {
  const request = probeRequestFor(cluster)
  return Promise.all(links.servers.map(server => observeNode(links.current(server), request, ports.signal)))
}
