/** What is still open on a server to addresses that have moved away, by the frontend that took it. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import type { OpenConnectionsService } from '../../state/open-connections.ts'
import { isHeld } from '../addresses.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { readBinds } from '../haproxy/read.ts'
import { OPEN_CONNECTIONS_SCRIPT } from '../paths.ts'
import { type Carry, carries, carryOf, lossOf } from './handing.ts'
import { modeOf } from './mode.ts'
import { cutsWords, lackOf } from './report.ts'

export interface StillOpen {
  /** The service's name of the vrrp_instance whose address they are open to. */
  readonly instance: string
  /** undefined where the inventory does not have the instance any more. */
  readonly family: 4 | 6 | undefined
  readonly port: number
  /** Sections of haproxy.cfg that listen on this port; empty where none does any more. */
  readonly frontends: readonly string[]
  readonly connections: number
}

/** What a look at a server says of them. */
export type Kept =
  | { readonly kind: 'counted'; readonly open: readonly StillOpen[] }
  /** The service runs, but did not answer in time. */
  | { readonly kind: 'silent' }
  /** The server keeps none. `why`: to follow its name. isUnproven: a look some seconds later may find that packets arrive. */
  | { readonly kind: 'lost'; readonly why: string; readonly isUnproven?: true }

/**
 * The service that runs decides, and not the inventory: a deploy may be about to take it away. `nodes`: all servers, for who holds the
 * addresses now; a window counts only where that server can send packets here.
 */
export function keptOn(cluster: Cluster, node: ObservedNode, nodes: readonly ObservedNode[]): Kept {
  const service = node.openConnections?.service
  if (service === undefined || !carries(node)) return { kind: 'lost', why: lossOf(cluster, node) }
  if (service.hasRules === undefined) return { kind: 'silent' }
  const windows = service.windows.filter(({ connections }) => connections > 0)
  const seen = windows.map(window => ({ window, lacks: lackOfHolders(cluster, node, window.instance, nodes) }))
  const open = seen.flatMap(({ window, lacks }) => (lacks === undefined ? [window] : []))
  if (windows.length > 0 && open.length === 0) {
    return seen.some(({ lacks }) => lacks === 'way')
      ? { kind: 'lost', why: 'the network does not carry their packets to it, so the move has cut them', isUnproven: true }
      : { kind: 'lost', why: 'the server that has their address does not send their packets on, so the move has cut them' }
  }
  return { kind: 'counted', open: open.map(one => stillOpenOf(cluster, one)) }
}

type Lack = Extract<Carry, { readonly kind: 'cut' }>['lacks']

/** Why no packet of these connections comes here any more; undefined where one may: a server that has the address sends them on. */
function lackOfHolders(cluster: Cluster, node: ObservedNode, name: string, nodes: readonly ObservedNode[]): Lack | undefined {
  const own = cluster.instances.find(instance => instance.name === name)?.virtualAddresses.map(({ address }) => address) ?? []
  const holders = nodes.filter(one => one.server !== node.server && own.some(address => isHeld(one.facts.addresses, address)))
  const lacks = holders.flatMap(holder => {
    const carry = carryOf(name, node, holder)
    return carry.kind === 'cut' ? [carry.lacks] : []
  })
  if (lacks.length < holders.length) return undefined
  return lacks.includes('way') ? 'way' : lacks[0]
}

function stillOpenOf(cluster: Cluster, { instance, port, connections }: OpenConnectionsService['windows'][number]): StillOpen {
  const virtual = cluster.instances.find(({ name }) => name === instance)?.virtualAddresses
  const frontends = frontendsOf(cluster, port, virtual)
  return { instance, family: virtual?.[0]?.family, port, frontends, connections }
}

function frontendsOf(cluster: Cluster, port: number, virtual: Instance['virtualAddresses'] | undefined): readonly string[] {
  const own = virtual?.map(({ address }) => address)
  const isFor = (address: string | undefined) => address === undefined || own === undefined || own.includes(address)
  const binds = readBinds(cluster.haproxyConfig.text).filter(
    bind => bind.port <= port && port <= bind.lastPort && !bind.loopback && isFor(bind.address),
  )
  return [...new Set(binds.map(({ section }) => section))]
}

/** "15 connections are still open (web: 12, port 9000: 3)". */
export function stillOpenWords(open: readonly StillOpen[]): string {
  const byName = new Map<string, number>()
  for (const { frontends, port, connections } of open) {
    const name = frontends.length === 0 ? `port ${port}` : frontends.join(' or ')
    byName.set(name, (byName.get(name) ?? 0) + connections)
  }
  const total = open.reduce((sum, { connections }) => sum + connections, 0)
  const each = [...byName].map(([name, connections]) => `${name}: ${connections}`).join(', ')
  return `${total} ${total === 1 ? 'connection is' : 'connections are'} still open (${each})`
}

/** How it is, and may well be: connections that have not moved with their address, and a server that cannot keep any. */
export function openConnectionsNotes(cluster: Cluster, node: ObservedNode, nodes: readonly ObservedNode[]): readonly string[] {
  const why = lackOf(modeOf(cluster, node))
  return [...openWords(cluster, node, nodes), ...(why === undefined ? [] : [cutsWords(why)])]
}

/** What to know before a plan takes the service away from servers that still have connections open. */
export function removalWarnings(
  cluster: Cluster,
  nodes: readonly ObservedNode[],
  removesFrom: (server: string, path: string) => boolean,
): readonly string[] {
  return nodes
    .filter(({ server }) => removesFrom(server, OPEN_CONNECTIONS_SCRIPT))
    .flatMap(node => openWords(cluster, node, nodes).map(words => `${node.server}: ${words}, and end when this is applied`))
}

/** "VRRP1: 15 connections are still open here (port 443: 12, port 80: 3)", for each address that has moved away. */
function openWords(cluster: Cluster, node: ObservedNode, nodes: readonly ObservedNode[]): readonly string[] {
  const kept = keptOn(cluster, node, nodes)
  const windows = kept.kind === 'counted' ? kept.open : []
  return [...new Set(windows.map(({ instance }) => instance))].map(name => {
    const own = windows.filter(({ instance }) => instance === name)
    const total = own.reduce((sum, { connections }) => sum + connections, 0)
    const ports = own.map(({ port, connections }) => `port ${port}: ${connections}`).join(', ')
    return `${name}: ${total} ${total === 1 ? 'connection is' : 'connections are'} still open here (${ports})`
  })
}
