/** What a server's packet filter must let through, what stands in the way, and what would open it. Pure. */
import type { ObservedFirewall } from '../../state.ts'
import type { Cluster } from '../cluster-types.ts'
import { readBinds } from '../haproxy/read.ts'
import type { NodeFacts } from '../node-facts.ts'
import { isAtLeast, upstreamVersion } from '../version.ts'
import { blockingChains, type Chain, type Packet } from './chains.ts'
import { parseIptablesSave } from './iptables.ts'
import { parseNftRuleset } from './nft.ts'

/** VRRP's protocol number and multicast group (RFC 5798 sections 5.1.1.4 and 5.1.1.2.1). */
export const VRRP = 112
export const VRRP_GROUP = '224.0.0.18'

/** Something that must pass, and in whose words. */
export interface Need {
  readonly packet: Packet
  /** "VRRP from 192.0.2.12", "TCP to port 80". */
  readonly title: string
  /** Without it there is no failover, or no service: not a port that somebody may have closed on purpose. */
  readonly isVital: boolean
}

/** IPv4 only: of IPv6 the rules are not judged. */
export function firewallNeeds(cluster: Cluster, server: string, facts: NodeFacts): readonly Need[] {
  const needs = new Map<string, Need>()
  const add = (title: string, packet: Packet, isVital: boolean) => needs.set(title, { title, packet, isVital })
  for (const instance of cluster.instances) {
    if (instance.virtualAddresses[0]?.family !== 4) continue
    const own = facts.srcIp[instance.name]?.[server]
    const link = facts.interface[instance.name]
    for (const peer of peersOf(cluster, server, instance.name, facts)) {
      const multicast = instance.unicastPeers === 'none'
      add(
        `VRRP from ${peer}`,
        { hook: 'input', protocol: VRRP, source: peer, destination: multicast ? VRRP_GROUP : own, interface: link },
        true,
      )
      const target = multicast ? VRRP_GROUP : peer
      add(`VRRP to ${target}`, { hook: 'output', protocol: VRRP, source: own, destination: target, interface: link }, true)
    }
  }
  for (const bind of readBinds(cluster.haproxyConfig.text)) {
    if (bind.loopback || bind.address?.includes(':') === true) continue
    const { port } = bind
    add(`TCP to port ${port}`, { hook: 'input', protocol: 6, port, destination: bind.address }, port === cluster.probe.port)
  }
  return [...needs.values()]
}

/** Addresses that VRRP comes from, for one instance of a server. */
export function peersOf(cluster: Cluster, server: string, instanceName: string, facts: NodeFacts): readonly string[] {
  return cluster.servers.flatMap(peer => (peer.name === server ? [] : (facts.srcIp[instanceName]?.[peer.name] ?? [])))
}

/** All chains that iptables, ufw and nft have made; undefined where the rules are there and cannot be read. */
export function chainsOf(firewall: ObservedFirewall): readonly Chain[] | undefined {
  const legacy = firewall.iptables === undefined ? [] : parseIptablesSave(firewall.iptables)
  if (legacy === undefined) return undefined
  if (firewall.nft === undefined || firewall.nft.trim() === '') return legacy
  const nft = parseNftRuleset(firewall.nft)
  if (nft === undefined) return undefined
  // iptables of today keeps its rules in nftables, in a form that only it reads back.
  const isTheirs = (chain: Chain) =>
    legacy.length > 0 && chain.table === 'filter' && chain.family === 'ip' && nft.some(one => isBeside(one, chain) && one.name === 'INPUT')
  return [...legacy, ...nft.filter(chain => !isTheirs(chain))]
}

const isBeside = (one: Chain, other: Chain) => one.family === other.family && one.table === other.table

export type Flavour = 'firewalld' | 'ufw' | 'nftables' | 'iptables'

export interface Blocked {
  readonly need: Need
  readonly chain: Chain
  readonly flavour: Flavour
}

/** Every need that surely does not pass, in every chain that stops it. */
export function blockedNeeds(firewall: ObservedFirewall, chains: readonly Chain[], needs: readonly Need[]): readonly Blocked[] {
  return needs.flatMap(need => blockingChains(chains, need.packet).map(chain => ({ need, chain, flavour: flavourOf(firewall, chain) })))
}

function flavourOf(firewall: ObservedFirewall, chain: Chain): Flavour {
  if (firewall.firewalld && (chain.table === 'firewalld' || chain.origin === 'iptables')) return 'firewalld'
  if (firewall.ufw !== undefined && chain.origin === 'iptables') return 'ufw'
  return chain.origin === 'nft' ? 'nftables' : 'iptables'
}

/** ufw knows the protocol since 0.36.2 (Debian 12, Ubuntu 24.04). */
export function ufwKnowsVrrp(version: string): boolean {
  return isAtLeast(upstreamVersion(version), '0.36.2')
}

/** What an operator types to let these through, now and after a boot. */
export function openingCommands(firewall: ObservedFirewall, blocked: readonly Blocked[]): readonly string[] {
  return [...new Set(blocked.map(one => openingCommand(firewall, one)))]
}

function openingCommand(firewall: ObservedFirewall, { need, chain, flavour }: Blocked): string {
  const { hook, protocol, port, source = '', destination = '' } = need.packet
  switch (flavour) {
    case 'firewalld':
      return protocol === VRRP
        ? `firewall-cmd --permanent --add-rich-rule='rule protocol value="vrrp" accept' && firewall-cmd --reload`
        : `firewall-cmd --permanent --add-port=${port}/tcp && firewall-cmd --reload`
    case 'ufw':
      if (protocol !== VRRP) return `ufw allow ${port}/tcp`
      if (ufwKnowsVrrp(firewall.ufw ?? ''))
        return hook === 'input' ? `ufw allow proto vrrp from ${source}` : `ufw allow out proto vrrp to ${destination}`
      return hook === 'input'
        ? `put "-A ufw-before-input -p 112 -s ${source} -j ACCEPT" above COMMIT in /etc/ufw/before.rules, then ufw reload`
        : `put "-A ufw-before-output -p 112 -d ${destination} -j ACCEPT" above COMMIT in /etc/ufw/before.rules, then ufw reload`
    case 'nftables':
      return `nft insert rule ${chain.family} ${chain.table} ${chain.name} ${nftMatch(need.packet)} accept (and the same in /etc/nftables.conf)`
    case 'iptables':
      return `iptables -I ${chain.name} ${iptablesMatch(need.packet)} -j ACCEPT (and save it, as netfilter-persistent save does)`
  }
}

export function nftMatch({ hook, protocol, port, source = '', destination = '' }: Packet): string {
  if (protocol !== VRRP) return `tcp dport ${port}`
  return hook === 'input' ? `ip saddr ${source} ip protocol 112` : `ip daddr ${destination} ip protocol 112`
}

export function iptablesMatch({ hook, protocol, port, source = '', destination = '' }: Packet): string {
  if (protocol !== VRRP) return `-p tcp --dport ${port}`
  return hook === 'input' ? `-p 112 -s ${source}` : `-p 112 -d ${destination}`
}
