/** Whether open connections stay open when an address goes from one server to another. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import { isHeld } from '../addresses.ts'
import type { Cluster } from '../cluster-types.ts'
import { isDrained } from '../trackers.ts'
import { modeOf, serviceProblem } from './mode.ts'
import { lackOf, openConnectionsProblems, unprovenWords } from './report.ts'

type Wanted = Parameters<typeof modeOf>[0]

/** An address goes from one server to another. */
export interface Handing {
  /** The name of its vrrp_instance. */
  readonly instance: string
  readonly from: string
  readonly to: string
}

export type Carry =
  | { readonly kind: 'kept' }
  /** A service has just started: what does not reach the other server yet may do so in some seconds. */
  | { readonly kind: 'unknown' }
  /** `lacks`: a service that runs with its rules, on either server; or packets that reach the one that has the connections. */
  | { readonly kind: 'cut'; readonly lacks: 'service' | 'way' }

/** What becomes of the connections that `from` has. The services that run decide, and neither the inventory nor the files on the servers. */
export function carryOf(instance: string, from: ObservedNode, to: ObservedNode): Carry {
  if (!carries(from) || !carries(to)) return { kind: 'cut', lacks: 'service' }
  const isUnproven = to.openConnections?.service?.unproven.some(one => one.instance === instance && one.peer === from.server) ?? false
  if (!isUnproven) return { kind: 'kept' }
  const isFresh = [from, to].some(({ openConnections }) => openConnections?.service?.isFresh === true)
  return isFresh ? { kind: 'unknown' } : { kind: 'cut', lacks: 'way' }
}

/** Whether the service runs with its rules and has prepared the server, or is only too busy to say so. Files that it has not loaded yet are no hindrance. */
export function carries({ openConnections }: ObservedNode): boolean {
  const service = openConnections?.service
  return service?.isRunning === true && service.hasRules !== false && service.unarmed.length === 0
}

/** Why a server whose service does not carry keeps no open connections. */
export function lossOf(cluster: Wanted, node: ObservedNode): string {
  const mode = modeOf(cluster, node)
  const unable = mode.kind === 'reset' ? (lackOf(mode) ?? 'open_connections is reset') : undefined
  return unable ?? serviceProblem(node.openConnections) ?? 'nothing keeps them'
}

/** What is known beforehand of why these moves cut open connections: "srv-1: hactl-open-connections.service does not run: ...". */
export function cuttingHandings(cluster: Wanted, nodes: readonly ObservedNode[], handings: readonly Handing[]): readonly string[] {
  const broken = nodes
    .filter(({ server }) => handings.some(({ from, to }) => from === server || to === server))
    .flatMap(node => openConnectionsProblems(cluster, node).map(problem => `${node.server}: ${problem}`))
  const ways = seen(nodes, handings).flatMap(({ instance, from, to, carry }) => {
    if (carry.kind !== 'cut' || !carries(from)) return []
    if (carry.lacks === 'way') return [`${to.server}: ${unprovenWords({ instance, peer: from.server })}`]
    return openConnectionsProblems(cluster, to).length > 0
      ? []
      : [`${to.server}: ${lossOf(cluster, to)}: a move to it cuts open connections`]
  })
  return [...new Set([...broken, ...ways])]
}

/** Which addresses move once the inventory's priorities are loaded: a server that may take one has a higher priority than its holder. */
export function handingsAfter({ instances }: Pick<Cluster, 'instances'>, nodes: readonly ObservedNode[]): readonly Handing[] {
  return instances.flatMap(({ name, nopreempt, priority, virtualAddresses }) => {
    const from = nodes.find(node => virtualAddresses.some(({ address }) => isHeld(node.facts.addresses, address)))?.server
    const mayTake = (node: ObservedNode) => !isDrained(node) && !node.instances.some(own => own.name === name && own.state === 'FAULT')
    const best = nodes
      .filter(mayTake)
      .map(({ server }) => server)
      .toSorted((a, b) => (priority[b] ?? 0) - (priority[a] ?? 0))[0]
    const moves = from !== undefined && best !== undefined && !nopreempt && (priority[best] ?? 0) > (priority[from] ?? 0)
    return moves ? [{ instance: name, from, to: best }] : []
  })
}

/** Servers that get an address and whose packets may soon reach the one that has its open connections: a look later may find it so. */
export function unprovenHandings(nodes: readonly ObservedNode[], handings: readonly Handing[]): readonly string[] {
  return seen(nodes, handings).flatMap(({ instance, from, to, carry }) =>
    carry.kind === 'unknown' || (carry.kind === 'cut' && carry.lacks === 'way')
      ? [`${to.server}: ${unprovenWords({ instance, peer: from.server })}`]
      : [],
  )
}

function seen(nodes: readonly ObservedNode[], handings: readonly Handing[]) {
  return handings.flatMap(({ instance, ...names }) => {
    const [from, to] = [names.from, names.to].map(name => nodes.find(({ server }) => server === name))
    return from === undefined || to === undefined ? [] : [{ instance, from, to, carry: carryOf(instance, from, to) }]
  })
}

/**
 * Whether the connections of this server to addresses of the instance stay open when it gives them away: `all` or `some` of the servers that
 * may take them can send the packets on. Where none may, its own service decides.
 */
export function staysOpen(
  nodes: readonly ObservedNode[],
  handings: readonly Handing[],
  { node, instance, takers }: { readonly node: ObservedNode; readonly instance: string; readonly takers: 'all' | 'some' },
): boolean {
  const own = seen(nodes, handings).filter(one => one.instance === instance && one.from.server === node.server)
  if (own.length === 0) return carries(node)
  const keeps = ({ carry }: (typeof own)[number]) => carry.kind !== 'cut'
  return takers === 'all' ? own.every(keeps) : own.some(keeps)
}
