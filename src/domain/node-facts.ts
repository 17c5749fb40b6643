/** Observed servers -> the facts that their files depend on: the interface of an address, and the server's own address there. */
import { HactlError } from '../errors.ts'
import type { Facts, InterfaceAddress } from '../state/machine.ts'
import type { ObservedFirewall } from '../state/network.ts'
import type { ObservedOpenConnections } from '../state/open-connections.ts'
import type { ObservedNode } from '../state/observed.ts'
import { canonicalAddress, isInNetwork, isLinkLocal } from './addresses.ts'
import type { Cluster, ClusterServer, Instance } from './cluster-types.ts'
import { deployedAddresses, isKeeper } from './open-connections/deployed.ts'
import { type Mode, modeOf } from './open-connections/mode.ts'
import { expectedVersion } from './packages.ts'
import { NEWEST_KEEPALIVED, packageVersionsFor, upstreamVersion } from './version.ts'

/** What a server's files depend on besides the inventory. Plain data. */
export interface NodeFacts {
  /** Upstream version of the keepalived that runs or will be installed there: "2.2.7". */
  readonly keepalivedVersion: string
  /** Interface of this server by instance name. */
  readonly interface: Readonly<Record<string, string>>
  /** By instance name: every server's own address on its interface for that instance. */
  readonly srcIp: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** The server's present packet filter. */
  readonly firewall?: ObservedFirewall
  readonly openConnections: {
    /** What becomes of open connections on this server. */
    readonly mode: Mode
    /** The servers that keep theirs. */
    readonly keepers: readonly string[]
    /** By instance name: addresses of servers that were not looked at, as the others know them from an earlier deploy. */
    readonly unseen: NodeFacts['srcIp']
    readonly observed?: ObservedOpenConnections
  }
}

/** The part of an observation that is needed here. */
export interface ObservedForFacts {
  readonly facts: Pick<Facts, 'addresses' | 'os'>
  readonly packages: ObservedNode['packages']
  readonly firewall?: ObservedFirewall
  readonly openConnections?: ObservedOpenConnections
  readonly files?: ObservedNode['files']
}

interface Place {
  readonly interface: string
  readonly address: string
}

/** The server's own addresses that could send VRRP for this instance: right family, no loopback, no virtual address. */
function ownAddresses(cluster: Cluster, instance: Instance, node: ObservedForFacts): readonly InterfaceAddress[] {
  const virtual = new Set(cluster.instances.flatMap(i => i.virtualAddresses.map(v => v.address)))
  const family = instance.virtualAddresses[0]?.family ?? 4
  return node.facts.addresses.filter(
    a => a.family === family && a.interface !== 'lo' && !virtual.has(canonicalAddress(a.address)?.address ?? a.address),
  )
}

function list(addresses: readonly InterfaceAddress[]): string {
  return addresses.map(a => `${a.interface} ${a.address}/${a.prefix}`).join(', ') || 'none'
}

function noInterface(server: ClusterServer, what: string, node: ObservedForFacts, fix: string): HactlError {
  return new HactlError({
    code: 'E_NO_INTERFACE',
    server: server.name,
    what: `${server.name}: ${what}`,
    why: [`it has: ${list(node.facts.addresses)}`],
    fix,
  })
}

/** On an interface: the configured source, else the address in the VIP's subnet, else `host`, else the first that is not link-local. */
function addressOn(server: ClusterServer, instance: Instance, candidates: readonly InterfaceAddress[]): string | undefined {
  const vip = instance.virtualAddresses[0]
  const inSubnet = vip === undefined ? [] : candidates.filter(a => isInNetwork(vip.address, a.address, a.prefix))
  const global = candidates.filter(a => !isLinkLocal(a.address))
  const host = canonicalAddress(server.host)?.address
  const pick = inSubnet.find(a => a.address === host) ?? inSubnet[0] ?? global.find(a => a.address === host) ?? global[0] ?? candidates[0]
  return pick?.address
}

function placeOf(cluster: Cluster, instance: Instance, server: ClusterServer, node: ObservedForFacts): Place {
  const own = ownAddresses(cluster, instance, node)
  const vip = instance.virtualAddresses[0]
  const wanted = instance.interface[server.name]
  const source = instance.unicastSrcIp[server.name]
  const key = `vrrp_instances: ${instance.name}`
  if (wanted !== undefined) {
    const there = own.filter(a => a.interface === wanted)
    const address = source ?? addressOn(server, instance, there)
    if (there.length === 0 || address === undefined) {
      const known = node.facts.addresses.some(a => a.interface === wanted)
      const what = known
        ? `interface ${wanted} has no address of its own that could speak for ${instance.name}`
        : `there is no interface ${wanted} with an address`
      throw noInterface(server, what, node, `set ${key}: interface: { ${server.name}: NAME } to one of its interfaces`)
    }
    if (source !== undefined && !there.some(a => a.address === source)) {
      throw noInterface(
        server,
        `unicast_src_ip ${source} is not on interface ${wanted}`,
        node,
        `set ${key}: unicast_src_ip: { ${server.name}: ADDRESS }`,
      )
    }
    return { interface: wanted, address }
  }
  if (source !== undefined) {
    const there = own.find(a => a.address === source)
    if (there === undefined)
      throw noInterface(
        server,
        `unicast_src_ip ${source} is on none of its interfaces`,
        node,
        `set ${key}: unicast_src_ip: { ${server.name}: ADDRESS }`,
      )
    return { interface: there.interface, address: source }
  }
  // The most specific on-link network that contains the address, because a wider one may merely overlap.
  const onLink = own.filter(a => vip !== undefined && isInNetwork(vip.address, a.address, a.prefix)).toSorted((a, b) => b.prefix - a.prefix)
  const first = onLink[0]
  if (first === undefined || vip === undefined) {
    throw noInterface(
      server,
      `no interface has an address in the network of ${vip?.text ?? instance.name} (${instance.name})`,
      node,
      `set ${key}: interface: { ${server.name}: NAME }`,
    )
  }
  const there = onLink.filter(a => a.interface === first.interface)
  return { interface: first.interface, address: addressOn(server, instance, there) ?? first.address }
}

/** The address of a server that --limit leaves out. It was not asked, so only the inventory can have its address. */
function addressUnobserved(instance: Instance, server: ClusterServer, networks: readonly InterfaceAddress[]): string {
  const source = instance.unicastSrcIp[server.name]
  const host = canonicalAddress(server.host)?.address
  if (source !== undefined) return source
  if (host !== undefined && networks.some(n => isInNetwork(host, n.address, n.prefix))) return host
  throw new HactlError({
    code: 'E_NO_INTERFACE',
    server: server.name,
    what: `its address on the network of ${instance.name} is not known`,
    why: [`it was not asked, and its host ${server.host} is not an address on that network`],
    fix: `set vrrp_instances: ${instance.name}: unicast_src_ip: { ${server.name}: ADDRESS }`,
  })
}

function keepalivedVersion(cluster: Cluster, node: ObservedForFacts): string {
  const { pins, carried } = cluster.packages
  const version = node.packages['keepalived']?.installed ?? expectedVersion('keepalived', pins.keepalived, node, carried)
  // A pin such as 1:2.2.* is no version yet: the version is known once apt has its lists.
  if (version !== undefined && !version.endsWith('*')) return upstreamVersion(version)
  return packageVersionsFor(node.facts.os.codename)?.keepalived ?? NEWEST_KEEPALIVED
}

/** Every server without an interface or address for an instance, and why: each error as nodeFactsFor would throw it. */
export function interfaceErrors(cluster: Cluster, observed: ReadonlyMap<string, ObservedForFacts>): readonly HactlError[] {
  return cluster.instances.flatMap(instance =>
    cluster.servers.flatMap(server => {
      const node = observed.get(server.name)
      if (node === undefined) return []
      try {
        placeOf(cluster, instance, server, node)
        return []
      } catch (error) {
        if (error instanceof HactlError) return [error]
        throw error
      }
    }),
  )
}

function unseenAddresses(
  { instances, servers }: Cluster,
  observed: Readonly<Record<string, ObservedForFacts | undefined>>,
  networksOf: (instance: Instance) => readonly InterfaceAddress[],
): NodeFacts['srcIp'] {
  const files = filesOf(servers, observed)
  const unseen = servers.map(({ name }) => name).filter(name => observed[name] === undefined)
  return Object.fromEntries(
    instances.map(instance => {
      const family = instance.virtualAddresses[0]?.family ?? 4
      const known = deployedAddresses(files, { instance: instance.name, family }, networksOf(instance))
      return [instance.name, Object.fromEntries(Object.entries(known).filter(([server]) => unseen.includes(server)))]
    }),
  )
}

function filesOf(servers: Cluster['servers'], observed: Readonly<Record<string, ObservedForFacts | undefined>>) {
  return servers.map(({ name }) => observed[name]?.files).filter(each => each !== undefined)
}

/**
 * Facts by server, for every server that was observed. Of the others only the addresses are used, by their peers.
 * Throws E_NO_INTERFACE, which names what was looked for, what exists, and the key to set.
 */
export function nodeFactsFor(
  cluster: Cluster,
  observed: Readonly<Record<string, ObservedForFacts | undefined>>,
): Readonly<Record<string, NodeFacts>> {
  const places: Record<string, Record<string, Place>> = {}
  for (const instance of cluster.instances) {
    const here: Record<string, Place> = {}
    places[instance.name] = here
    for (const server of cluster.servers) {
      const node = observed[server.name]
      if (node !== undefined) here[server.name] = placeOf(cluster, instance, server, node)
    }
  }
  const networksOf = ({ name }: Instance) =>
    cluster.servers.flatMap(s => observed[s.name]?.facts.addresses.filter(a => a.address === places[name]?.[s.name]?.address) ?? [])
  const srcIp: Record<string, Record<string, string>> = {}
  for (const instance of cluster.instances) {
    const here = places[instance.name] ?? {}
    const networks = networksOf(instance)
    srcIp[instance.name] = Object.fromEntries(
      cluster.servers
        .filter(s => here[s.name] !== undefined || instance.unicastPeers === 'all')
        .map(s => [s.name, here[s.name]?.address ?? addressUnobserved(instance, s, networks)]),
    )
  }
  const files = filesOf(cluster.servers, observed)
  const unseen = unseenAddresses(cluster, observed, networksOf)
  const keepers = cluster.servers
    .map(({ name }) => name)
    .filter(name => modeOf(cluster, observed[name]).kind === 'keep' && (observed[name] !== undefined || isKeeper(name, files)))
  const facts: Record<string, NodeFacts> = {}
  for (const server of cluster.servers) {
    const node = observed[server.name]
    if (node === undefined) continue
    facts[server.name] = {
      keepalivedVersion: keepalivedVersion(cluster, node),
      interface: Object.fromEntries(cluster.instances.map(i => [i.name, places[i.name]?.[server.name]?.interface ?? ''])),
      srcIp,
      ...(node.firewall === undefined ? {} : { firewall: node.firewall }),
      openConnections: {
        mode: modeOf(cluster, node),
        keepers,
        unseen,
        ...(node.openConnections === undefined ? {} : { observed: node.openConnections }),
      },
    }
  }
  return facts
}
