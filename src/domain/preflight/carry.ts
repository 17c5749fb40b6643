/** Whether the network between the servers carries packets of open connections, before a service can prove it. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import type { CarryLink, CarryReport } from '../../state/wire.ts'
import type { Cluster } from '../cluster-types.ts'
import { modeOf } from '../open-connections/mode.ts'
import { placesOf } from '../open-connections/places.ts'
import { OPEN_CONNECTIONS_PORT, STRANGERS } from '../open-connections/rules.ts'
import { type Finding, unknown, warning } from './finding.ts'
import type { Facts } from './wire.ts'

export type CarryReports = ReadonlyMap<string, readonly (CarryReport | undefined)[]>

const FIX =
  'let the network carry packets whose source is a client (OpenStack: port security off, because allowed_address_pairs with the virtual ' +
  'address are not enough; a switch or hypervisor: no IP source guard; most clouds cannot), or set open_connections: reset'

/** The networks on which this server and the others of `nodes` keep open connections. Pairs whose services run are left out: those prove it themselves. */
export function carryLinksOf(cluster: Cluster, node: ObservedNode, nodes: readonly ObservedNode[], facts: Facts): readonly CarryLink[] {
  const own = facts[node.server]
  if (own === undefined || modeOf(cluster, node).kind === 'reset') return []
  const runs = (one: ObservedNode) => one.openConnections?.service?.hasRules === true
  const asked = nodes.filter(one => one.server !== node.server && !(runs(node) && runs(one)))
  const known = asked.flatMap(({ server }) => Object.values(own.srcIp).flatMap(addresses => addresses[server] ?? []))
  const links = placesOf(cluster, node.server, own).flatMap(
    ({ interface: link, family, address, virtualAddresses, peers }): CarryLink[] => {
      const [virtualAddress] = virtualAddresses
      const others = peers.map(peer => peer.address).filter(peer => known.includes(peer))
      return virtualAddress === undefined || others.length === 0
        ? []
        : [{ interface: link, family, address, virtualAddress, stranger: STRANGERS[family], port: OPEN_CONNECTIONS_PORT, peers: others }]
    },
  )
  const keyOf = (link: CarryLink) => JSON.stringify([link.interface, link.address, link.peers])
  return links.filter((link, index) => links.findIndex(one => keyOf(one) === keyOf(link)) === index)
}

/** Whether the peer could send to the server that has this report. */
function isSentFrom(peer: string, { link }: CarryReport, reports: CarryReports): boolean {
  return [...reports.values()].flat().some(one => one?.link.address === peer && one.met.includes(link.address))
}

const silentPeers = ({ link, carried }: CarryReport) => link.peers.filter(peer => !carried.includes(peer))

/** Whether a packet was sent and did not arrive. The servers are then asked once more. */
export function isAnyPacketLost(reports: CarryReports): boolean {
  return [...reports.values()]
    .flat()
    .some(report => report !== undefined && silentPeers(report).some(peer => isSentFrom(peer, report, reports)))
}

/** One line for each network that drops such packets on their way to a server, or on which it could not be tried. */
export function carryFindings(reports: CarryReports, nameOf: (address: string) => string): readonly Finding[] {
  const names = (addresses: readonly string[]) => addresses.map(nameOf).join(' and ')
  return [...reports].flatMap(([server, own]) =>
    own.flatMap((report): readonly Finding[] => {
      if (report === undefined) return [unknown('connections', server, 'not tried on the wire: perl did not run')]
      const { interface: link, family } = report.link
      const silent = silentPeers(report)
      const lost = silent.filter(peer => isSentFrom(peer, report, reports))
      if (lost.length > 0) {
        const what = `packets with a client's IPv${family} address do not arrive from ${names(lost)} on ${link}`
        return [warning('connections', server, `${what}: a planned move between them cuts open connections`, FIX)]
      }
      return silent.length === 0 ? [] : [unknown('connections', server, `not tried on the wire: ${names(silent)} was not met on ${link}`)]
    }),
  )
}
