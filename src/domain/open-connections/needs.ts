/** What a server's own packet filter must let out so that open connections are kept over a move. Pure. */
import { isLinkLocal } from '../addresses.ts'
import type { Cluster } from '../cluster-types.ts'
import type { Packet } from '../firewall/chains.ts'
import type { Need } from '../firewall/need.ts'
import { readBinds } from '../haproxy/read.ts'
import type { NodeFacts } from '../node-facts.ts'
import { placesOf } from './places.ts'
import { OPEN_CONNECTIONS_PORT } from './rules.ts'

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const

/**
 * Announcements to the peers, probes by way of the loopback, and the copies that `nft dup` makes of probes and of packets of connections. The rules
 * take all of these before an incoming filter sees them. Copies have the source of the client, and connection tracking does not follow them.
 */
export function openConnectionsNeeds(cluster: Cluster, server: string, facts: NodeFacts): readonly Need[] {
  if (facts.openConnections.mode.kind === 'reset') return []
  const binds = readBinds(cluster.haproxyConfig.text).filter(bind => !bind.loopback)
  return placesOf(cluster, server, facts).flatMap(({ family, interface: link, address, peers, virtualAddresses }) => {
    const udp = { family, hook: 'output', protocol: 17, port: OPEN_CONNECTIONS_PORT, interface: link } as const
    const copy = { family, hook: 'output', interface: link, isUntracked: true } as const
    const loopback = LOOPBACK[family]
    const packets: readonly Packet[] = [
      ...peers.map(peer => ({ ...udp, source: isLinkLocal(address) ? undefined : address, destination: peer.address })),
      { ...udp, source: loopback, destination: loopback, interface: 'lo' },
      ...virtualAddresses.flatMap(destination => [
        { ...copy, protocol: 17, port: OPEN_CONNECTIONS_PORT, destination },
        ...binds
          .filter(bind => bind.address === undefined || bind.address === destination)
          .map(({ port }) => ({ ...copy, protocol: 6, port, destination })),
      ]),
    ]
    return packets.map(packet => ({ packet, title: titleOf(packet), isVital: false }))
  })
}

function titleOf({ protocol, port, destination }: Packet): string {
  return `${protocol === 17 ? `UDP ${port}` : 'TCP'} to ${destination} (open connections)`
}
