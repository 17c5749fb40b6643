/** What is said of open connections on one server: faults of the service, what it cannot do, and what is still open. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../paths.ts'
import { type Mode, modeOf, serviceProblem } from './mode.ts'

type Wanted = Parameters<typeof modeOf>[0]

/** Why the next planned move would cut what the deployed service should keep; empty where it keeps it, or where none is deployed. */
export function openConnectionsProblems(cluster: Wanted, node: ObservedNode): readonly string[] {
  if (modeOf(cluster, node).kind === 'reset' || node.files[OPEN_CONNECTIONS_SCRIPT] === undefined) return []
  const service = node.openConnections?.service
  // Files that it has not loaded yet are drift: what it loaded before works.
  const problem = service?.isOutdated === true && service.hasRules !== false ? undefined : serviceProblem(node.openConnections)
  return problem === undefined ? [] : [`${problem}: a planned move cuts the open connections of this server (hactl deploy fixes it)`]
}

/** What an operator should fix, although the server itself is healthy. */
export function openConnectionsNotices(cluster: Wanted, node: ObservedNode, nodes: readonly ObservedNode[]): readonly string[] {
  return [...unreachedPeers(cluster, node, nodes).map(unprovenWords), ...(node.openConnections?.savedIn ?? []).map(savedWords)]
}

/** How it is, and may well be: connections that have not moved with their address, and a server that cannot keep any. */
export function openConnectionsNotes(cluster: Wanted, node: ObservedNode): readonly string[] {
  const why = lackOf(modeOf(cluster, node))
  return [...openWords(node), ...(why === undefined ? [] : [cutsWords(why)])]
}

/** What a server lacks that should keep open connections. */
export function lackOf(mode: Mode): string | undefined {
  return mode.kind === 'reset' ? mode.why : undefined
}

export const cutsWords = (why: string) => `a planned move cuts the open connections of this server: ${why}`

export const savedWords = (path: string) =>
  `${path} contains the table hactl, which belongs to a running service: nftables.service cannot load the file again`

/** Peers that do not get packets with a client's address from this server, although both run the service. `nodes`: all that were looked at. */
export function unprovenPeers(
  cluster: Wanted,
  node: ObservedNode,
  nodes: readonly ObservedNode[],
): readonly { readonly instance: string; readonly peer: string }[] {
  const runs = (one: ObservedNode) => modeOf(cluster, one).kind === 'keep' && one.openConnections?.service?.hasRules === true
  if (!runs(node)) return []
  return (node.openConnections?.service?.unproven ?? []).filter(({ peer }) => nodes.some(one => one.server === peer && runs(one)))
}

/** The same without peers that may only not have been reached yet. */
export function unreachedPeers(...[cluster, node, nodes]: Parameters<typeof unprovenPeers>): ReturnType<typeof unprovenPeers> {
  const isFresh = (one: ObservedNode | undefined) => one?.openConnections?.service?.isFresh === true
  return isFresh(node)
    ? []
    : unprovenPeers(cluster, node, nodes).filter(({ peer }) => !isFresh(nodes.find(({ server }) => server === peer)))
}

export const unprovenWords = ({ instance, peer }: { readonly instance: string; readonly peer: string }) =>
  `packets with a client's address do not reach ${peer} from here (${instance}): a move between the two cuts open connections`

/** What to know before a plan takes the service away from servers that still have connections open. */
export function removalWarnings(nodes: readonly ObservedNode[], removesFrom: (server: string, path: string) => boolean): readonly string[] {
  return nodes
    .filter(({ server }) => removesFrom(server, OPEN_CONNECTIONS_SCRIPT))
    .flatMap(node => openWords(node).map(words => `${node.server}: ${words}, and end when this is applied`))
}

/** "VRRP1: 15 connections are still open here (port 443: 12, port 80: 3)", for each address that has moved away. */
function openWords(node: ObservedNode): readonly string[] {
  const windows = node.openConnections?.service?.windows ?? []
  return [...new Set(windows.map(({ instance }) => instance))].map(name => {
    const own = windows.filter(({ instance }) => instance === name)
    const total = own.reduce((sum, { connections }) => sum + connections, 0)
    const ports = own.map(({ port, connections }) => `port ${port}: ${connections}`).join(', ')
    return `${name}: ${total} ${total === 1 ? 'connection is' : 'connections are'} still open here (${ports})`
  })
}
