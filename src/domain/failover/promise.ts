/** Whether a cluster promises that a drill cuts no open connection. */
import type { ObservedNode } from '../../state/observed.ts'
import type { Cluster } from '../cluster-types.ts'
import { modeOf, serviceProblem } from '../open-connections/mode.ts'
import { unprovenPeers } from '../open-connections/report.ts'
import { TAKEOVER_MIN_MS } from './drill.ts'

/** What an operator does on purpose too, and after which the old holder can go on serving whom it knows. */
const PLANNED: readonly string[] = ['stop-haproxy', 'stop-keepalived', 'reload-haproxy-repeatedly', 'reboot']

/** A stop of haproxy ends connections after stop_timeout, so that has to be longer than the drill needs to judge the move. */
const STOPS_HAPROXY: readonly string[] = ['stop-haproxy', 'reboot']

/**
 * `disturb`: the word of the drill's file. `nodes`: every server of the cluster, as it is now. A crash promises nothing, nor does a server
 * that does not keep connections, or whose packets do not reach another one.
 */
export function keepsConnections(
  cluster: Pick<Cluster, 'openConnections' | 'packages' | 'stopTimeoutMs'>,
  nodes: readonly ObservedNode[],
  disturb: string,
): boolean {
  return (
    PLANNED.includes(disturb) &&
    (!STOPS_HAPROXY.includes(disturb) || cluster.stopTimeoutMs >= TAKEOVER_MIN_MS) &&
    nodes.every(
      node =>
        modeOf(cluster, node).kind === 'keep' &&
        serviceProblem(node.openConnections) === undefined &&
        unprovenPeers(cluster, node, nodes).length === 0,
    )
  )
}
