/** What is said of open connections on one server: faults of the service, and what it cannot do. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../paths.ts'
import { type Mode, modeOf, serviceProblem } from './mode.ts'

type Wanted = Parameters<typeof modeOf>[0]

/** Why the next planned move would cut what the deployed service should keep; empty where it keeps it, or where none is deployed. */
export function openConnectionsProblems(cluster: Wanted, node: ObservedNode): readonly string[] {
  if (modeOf(cluster, node).kind === 'reset' || node.files[OPEN_CONNECTIONS_SCRIPT] === undefined) return []
  const service = node.openConnections?.service
  // Files that it has not loaded yet are drift: what it loaded before works.
  const works = service !== undefined && service.hasRules !== false && service.refused === undefined && service.unarmed.length === 0
  const problem = service?.isOutdated === true && works ? undefined : serviceProblem(node.openConnections)
  const cuts = service?.refused !== undefined && service.hasRules !== false ? 'may cut' : 'cuts'
  return problem === undefined ? [] : [`${problem}: a planned move ${cuts} the open connections of this server (hactl deploy fixes it)`]
}

/** What an operator should fix, although the server itself is healthy. */
export function openConnectionsNotices(cluster: Wanted, node: ObservedNode, nodes: readonly ObservedNode[]): readonly string[] {
  return [...unreachedPeers(cluster, node, nodes).map(unprovenWords), ...(node.openConnections?.savedIn ?? []).map(savedWords)]
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
