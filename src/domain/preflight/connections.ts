/** Whether a server can keep open connections over a move, where the inventory wants it. Nothing here stops a deploy. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import type { Cluster } from '../cluster-types.ts'
import { modeOf } from '../open-connections/mode.ts'
import { cutsWords, lackOf, savedWords, unreachedPeers, unprovenWords } from '../open-connections/report.ts'
import { type Finding, passed, warning } from './finding.ts'

const GIVE_UP = 'open_connections: reset in the inventory says so'

export function connectionsFindings(cluster: Cluster, node: ObservedNode, nodes: readonly ObservedNode[]): readonly Finding[] {
  if (cluster.openConnections === 'reset') return []
  const { server, openConnections } = node
  const mode = modeOf(cluster, node)
  const why = lackOf(mode)
  const doubts = [
    ...(why === undefined ? [] : [warning('connections', server, cutsWords(why), GIVE_UP)]),
    ...unreachedPeers(cluster, node, nodes).map(one =>
      warning(
        'connections',
        server,
        unprovenWords(one),
        'let the network, and this server on its way out, carry such packets (docs/open-connections.md), or set open_connections: reset',
      ),
    ),
    ...(openConnections?.savedIn ?? []).map(path =>
      warning('connections', server, savedWords(path), `delete the blocks "table ip hactl" and "table ip6 hactl" from ${path}`),
    ),
  ]
  if (doubts.length > 0) return doubts
  const installs = openConnections?.ability.kind === 'installable'
  return [passed('connections', server, installs ? 'kept over a move; nftables will be installed' : 'kept over a move')]
}
