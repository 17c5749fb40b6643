/** Waits until a cluster is in the state in which a drill may start. */
import { drillRefusals, type SplitBrain, splitBrains } from '../../domain/failover/drill.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { observeNode } from '../observe.ts'
import { probeRequestFor } from './look.ts'
import type { Run } from './run.ts'

/** How long a cluster may take to come to rest before a drill is refused. */
const REST_LIMIT_MS = 5000
const REST_LOOK_EVERY_MS = 1000

export interface AtRest {
  readonly nodes: readonly ObservedNode[]
  /** Why no drill may start; empty where one may. */
  readonly refusals: readonly string[]
  /** What was split at both of the last two looks. */
  readonly splits: readonly SplitBrain[]
}

/**
 * Looks until the cluster is healthy enough for a drill, or `limitMs` have passed; `first` is the first look. A deploy or an election that
 * has just started something is given the time to end. A warning says what the cluster waits for. Throws what looking at the servers throws.
 */
export async function settledCluster(
  run: Run,
  first: readonly ObservedNode[],
  limitMs: number = REST_LIMIT_MS * run.links.patience,
): Promise<AtRest> {
  const { cluster, onEvent } = run
  const { clock, signal } = run.ports
  const endMs = clock.monotonic() + limitMs
  let lookedMs = clock.monotonic()
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
    await clock.sleep(REST_LOOK_EVERY_MS, signal)
    lookedMs = clock.monotonic()
    nodes = await lookAt(run)
  }
}

/** A new look at every server of the run. Throws what observeNode throws. */
export function lookAt({ cluster, links, ports }: Pick<Run, 'cluster' | 'links' | 'ports'>): Promise<readonly ObservedNode[]> {
  const request = probeRequestFor(cluster)
  return Promise.all(links.servers.map(server => observeNode(links.current(server), request, ports.signal)))
}
