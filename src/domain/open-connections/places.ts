/** Where one server stands in each instance: its own address, its peers in the order in which they are asked, and what listens there. */
import { compareAddresses, isLinkLocal } from '../addresses.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { clientPorts, readBinds } from '../haproxy/read.ts'
import type { NodeFacts } from '../node-facts.ts'

interface Peer {
  /** Part of the names of sets and chains, made from the server's name. */
  readonly name: string
  readonly server: string
  readonly address: string
  /** How `nft dup` reaches it. */
  readonly target: string
}

export interface Place {
  /** Part of the names of sets and chains, made from the instance's name. */
  readonly name: string
  readonly instance: string
  /** Its place in the server's settings, which tells its probes from others: a virtual router's number may be used on two networks. */
  readonly index: number
  readonly family: 4 | 6
  readonly virtualRouterId: number
  readonly interface: string
  /** The server's own address there. */
  readonly address: string
  /** The next server by address first: every server asks in the same ring. */
  readonly peers: readonly Peer[]
  readonly virtualAddresses: readonly string[]
}

/** Every instance of the cluster as this server sees it. An instance for which the server has no address or no peer is left out. */
export function placesOf(cluster: Cluster, serverName: string, facts: NodeFacts): readonly Place[] {
  const names = uniqueWords(cluster.instances.map(({ name }) => name))
  const places = cluster.instances.flatMap((instance, index) => {
    const address = facts.srcIp[instance.name]?.[serverName]
    const link = facts.interface[instance.name]
    const family = instance.virtualAddresses[0]?.family
    if (address === undefined || link === undefined || family === undefined) return []
    const peers = peersOf(cluster, instance, serverName, address, link, facts)
    if (peers.length === 0) return []
    return [
      {
        name: names[index] ?? '',
        instance: instance.name,
        family,
        virtualRouterId: instance.virtualRouterId,
        interface: link,
        address,
        peers,
        virtualAddresses: instance.virtualAddresses.map(virtual => virtual.address),
      },
    ]
  })
  return places.map((place, index) => ({ ...place, index }))
}

function peersOf(cluster: Cluster, instance: Instance, serverName: string, own: string, link: string, facts: NodeFacts): readonly Peer[] {
  const known = { ...facts.openConnections.unseen[instance.name], ...facts.srcIp[instance.name] }
  // Only a server that keeps its connections can be asked about them.
  const others = facts.openConnections.keepers.flatMap(name => {
    const address = known[name]
    return name === serverName || address === undefined ? [] : [{ name, address }]
  })
  const listed = Array.isArray(instance.unicastPeers) ? (instance.unicastPeers as readonly string[]) : undefined
  const peers = listed === undefined ? others : others.filter(({ address }) => listed.includes(address))
  const ring = peers.toSorted((a, b) => compareAddresses(a.address, b.address))
  const next = [
    ...ring.filter(peer => compareAddresses(peer.address, own) > 0),
    ...ring.filter(peer => compareAddresses(peer.address, own) < 0),
  ]
  const names = uniqueWords(next.map(({ name }) => name))
  return next.map(({ name, address }, index) => ({
    name: names[index] ?? '',
    server: name,
    address,
    target: isLinkLocal(address) ? `${address} device "${link}"` : address,
  }))
}

/** Names that nft takes and that differ from each other: letters, digits, "_" and "-". A "." stands between two of them in the name of a set. */
function uniqueWords(names: readonly string[]): readonly string[] {
  const words = names.map(name => name.replace(/[^A-Za-z0-9_-]/g, '_'))
  return words.reduce<readonly string[]>((given, word) => {
    const free = (tried: string, next: number): string => (given.includes(tried) ? free(`${word}_${next}`, next + 1) : tried)
    return [...given, free(word, 2)]
  }, [])
}

/**
 * Ports that haproxy binds to an address by name, as nft writes them ("80", "8000-8010"). There the listening socket has the address that
 * its connections have, too. A name or a variable may mean any address.
 */
export function portsBoundByName(cluster: Cluster): readonly string[] {
  return portWords(readBinds(cluster.haproxyConfig.text).filter(bind => bind.address !== undefined && !bind.loopback))
}

/** All ports at which haproxy serves clients, in the same form; undefined where haproxy.cfg does not say all of them. */
export function portsOfHaproxy(cluster: Cluster): readonly string[] | undefined {
  const ports = clientPorts(cluster.haproxyConfig.text)
  return ports === undefined || ports.length === 0 ? undefined : portWords(ports)
}

function portWords(ports: readonly { readonly port: number; readonly lastPort: number }[]): readonly string[] {
  return [...new Set(ports.map(({ port, lastPort }) => (port === lastPort ? String(port) : `${port}-${lastPort}`)))]
}
