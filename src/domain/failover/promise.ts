/** Whether a cluster promises that a drill cuts no open connection. */
import type { ObservedNode } from '../../state/observed.ts'
import type { Cluster } from '../cluster-types.ts'
import { modeOf, serviceProblem } from '../open-connections/mode.ts'
import { unprovenPeers } from '../open-connections/report.ts'
import { natureOf } from './disturbances.ts'
import { TAKEOVER_MIN_MS } from './drill.ts'

/**
 * `disturb`: the word of the drill's file. `nodes`: every server of the cluster, as it is now. A crash promises nothing, nor does a server
 * that does not keep connections, or whose packets do not reach another one.
 */
export function keepsConnections(
  cluster: Pick<Cluster, 'openConnections' | 'packages' | 'stopTimeoutMs'>,
  nodes: readonly ObservedNode[],
  disturb: string,
): boolean {
  const nature = natureOf(disturb)
  return (
    nature !== 'fault' &&
    // Else haproxy ends connections before the drill has judged the move.
    (nature !== 'planned-stop' || cluster.stopTimeoutMs >= TAKEOVER_MIN_MS) &&
    nodes.every(
      node =>
        modeOf(cluster, node).kind === 'keep' &&
        serviceProblem(node.openConnections) === undefined &&
        unprovenPeers(cluster, node, nodes).length === 0,
    )
  )
}

/** Whether clients' open connections on `node` are kept at first and then ended, because the drill stops haproxy there on purpose. */
export function endsConnections(cluster: Pick<Cluster, 'openConnections' | 'packages'>, node: ObservedNode, disturb: string): boolean {
  return natureOf(disturb) === 'planned-stop' && modeOf(cluster, node).kind === 'keep'
}
