/** What a server's packet filter must let through, which chains stop it, and what would open it. Pure. */
import type { ObservedFirewall } from '../../state/network.ts'
import type { Cluster } from '../cluster-types.ts'
import { readBinds } from '../haproxy/read.ts'
import type { NodeFacts } from '../node-facts.ts'
import { openConnectionsNeeds } from '../open-connections/needs.ts'
import { isAtLeast, upstreamVersion } from '../version.ts'
import { blockingChains, type Chain, type Packet } from './chains.ts'
import { parseIptablesSave } from './iptables.ts'
import type { Need } from './need.ts'
import { parseNftRuleset } from './nft.ts'

/** VRRP's protocol number and multicast group (RFC 5798 sections 5.1.1.4 and 5.1.1.2.1). */
export const VRRP = 112
const TCP = 6
const UDP = 17
export const VRRP_GROUP = '224.0.0.18'
const VRRP_GROUP_V6 = 'ff02::12'
/** With multicast, IPv6 routers send from the link-local address of the interface (RFC 5798 section 5.1.2.1). */
export const LINK_LOCAL = 'fe80::/10'

export function firewallNeeds(cluster: Cluster, server: string, facts: NodeFacts): readonly Need[] {
  const needs = new Map<string, Need>()
  const put = (need: Need, key = need.title) => needs.set(`${need.packet.family ?? 4} ${key}`, need)
  const add = (title: string, packet: Packet, isVital: boolean) => put({ title, packet, isVital })
  for (const instance of cluster.instances) {
    const family = instance.virtualAddresses[0]?.family ?? 4
    const multicast = instance.unicastPeers === 'none'
    const group = family === 4 ? VRRP_GROUP : VRRP_GROUP_V6
    // The link-local addresses of the peers' interfaces are not known.
    const known = (address: string | undefined) => (multicast && family === 6 ? undefined : address)
    const own = known(facts.srcIp[instance.name]?.[server])
    const link = facts.interface[instance.name]
    for (const peer of peersOf(cluster, server, instance.name, facts)) {
      const source = known(peer)
      add(
        `VRRP from ${source ?? LINK_LOCAL}`,
        { family, hook: 'input', protocol: VRRP, source, destination: multicast ? group : own, interface: link },
        true,
      )
      const target = multicast ? group : peer
      add(`VRRP to ${target}`, { family, hook: 'output', protocol: VRRP, source: own, destination: target, interface: link }, true)
    }
  }
  const hasV6 = cluster.instances.some(({ virtualAddresses }) => virtualAddresses.some(({ family }) => family === 6))
  for (const bind of readBinds(cluster.haproxyConfig.text)) {
    const isV6 = bind.address?.includes(':') === true
    if (bind.loopback) continue
    const { port } = bind
    const tcp = { hook: 'input', protocol: 6, port, destination: bind.address } as const
    if (!isV6) add(`TCP to port ${port}`, { ...tcp, family: 4 }, port === cluster.probe.port)
    // Without a virtual IPv6 address no client needs the port over IPv6.
    if (hasV6 && (isV6 || bind.address === undefined)) add(`TCP to port ${port}`, { ...tcp, family: 6 }, port === cluster.probe.port)
  }
  // One title may mean several ports, and one rule lets all of them out.
  for (const need of openConnectionsNeeds(cluster, server, facts)) put(need, `${need.title} ${need.packet.port}`)
  return [...needs.values()]
}

/** The addresses that send VRRP to one instance of a server. */
function peersOf(cluster: Cluster, server: string, instanceName: string, facts: NodeFacts): readonly string[] {
  return cluster.servers.flatMap(peer => (peer.name === server ? [] : (facts.srcIp[instanceName]?.[peer.name] ?? [])))
}

/** All chains that iptables, ufw and nft have made; undefined where there are rules that cannot be read. */
export function chainsOf(firewall: ObservedFirewall): readonly Chain[] | undefined {
  const v4 = firewall.iptables === undefined ? [] : parseIptablesSave(firewall.iptables)
  const v6 = firewall.ip6tables === undefined ? [] : parseIptablesSave(firewall.ip6tables, 'ip6')
  if (v4 === undefined || v6 === undefined) return undefined
  const legacy = [...v4, ...v6]
  // firewalld always has rules: where none are seen, they could not be read.
  if (firewall.nft === undefined || firewall.nft.trim() === '') return firewall.firewalld && legacy.length === 0 ? undefined : legacy
  const nft = parseNftRuleset(firewall.nft)
  if (nft === undefined) return undefined
  // The current iptables keeps its rules in nftables, in a form that only iptables itself can read.
  const isTheirs = (chain: Chain) =>
    chain.table === 'filter' &&
    legacy.some(one => one.family === chain.family) &&
    nft.some(one => isBeside(one, chain) && one.name === 'INPUT')
  return [...legacy, ...nft.filter(chain => !isTheirs(chain))]
}

const isBeside = (one: Chain, other: Chain) => one.family === other.family && one.table === other.table

type Flavour = 'firewalld' | 'ufw' | 'nftables' | 'iptables'

export interface Blocked {
  readonly need: Need
  readonly chain: Chain
  readonly flavour: Flavour
  /** firewalld's zone that the packet comes in by; undefined where it is not found. */
  readonly zone?: string | undefined
}

/** Every need that certainly does not pass, in every chain that stops it. */
export function blockedNeeds(firewall: ObservedFirewall, chains: readonly Chain[], needs: readonly Need[]): readonly Blocked[] {
  const link = needs.find(need => need.packet.interface !== undefined)?.packet.interface
  return needs.flatMap(need =>
    blockingChains(chains, need.packet).map(chain => {
      const flavour = flavourOf(firewall, chain)
      const zone = flavour === 'firewalld' ? zoneOf(chains, need.packet.interface ?? link) : undefined
      return { need, chain, flavour, zone }
    }),
  )
}

/** The zone of an interface: firewalld sends its packets to a chain named after the zone, and all others to the default zone's chain. */
function zoneOf(chains: readonly Chain[], link: string | undefined): string | undefined {
  const rules = chains.filter(({ name }) => /^(?:filter_)?INPUT_ZONES$/.test(name)).flatMap(chain => chain.rules)
  const rule = rules.find(({ conditions }) =>
    conditions.every(one => one.kind === 'in-interface' && (link === undefined || one.names.includes(link))),
  )
  const { verdict } = rule ?? {}
  return verdict?.kind === 'goto' || verdict?.kind === 'jump' ? /^(?:filter_)?IN_([A-Za-z0-9_-]+)$/.exec(verdict.chain)?.[1] : undefined
}

/** The chain as its own program names it. */
export function chainTitle({ origin, family, table, name }: Chain): string {
  return origin === 'nft' ? `${family} ${table} ${name}` : family === 'ip6' ? `ip6tables ${name}` : name
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

/** What an operator types to let these packets through, now and after a boot. */
export function openingCommands(firewall: ObservedFirewall, blocked: readonly Blocked[]): readonly string[] {
  const kept = blocked.filter(one => one.flavour === 'firewalld')
  const others = blocked.flatMap(one => (one.flavour === 'firewalld' ? [] : [openingCommand(firewall, one, one.flavour)]))
  return [...(kept.length > 0 ? firewalldCommands(kept) : []), ...new Set(others)]
}

/** firewall-cmd(1): permanent rules apply from the next reload on. Outgoing packets are stopped by policies only. */
function firewalldCommands(blocked: readonly Blocked[]): readonly string[] {
  const zones = [...new Set(blocked.filter(({ need }) => need.packet.hook === 'input').map(({ zone }) => zone))]
  const added = zones.map(zone => {
    const words = blocked.flatMap(({ need: { packet }, zone: own }) =>
      own === zone && packet.hook === 'input' ? [firewalldWord(packet)] : [],
    )
    return `firewall-cmd --permanent${zone === undefined ? '' : ` --zone=${zone}`} ${[...new Set(words)].join(' ')}`
  })
  const isOutwards = blocked.some(({ need }) => need.packet.hook === 'output')
  return [
    ...(added.length > 0 ? [`${added.join(' && ')} && firewall-cmd --reload`] : []),
    ...(isOutwards ? ['firewall-cmd --list-all-policies shows what stops packets on their way out'] : []),
  ]
}

function firewalldWord({ family = 4, protocol, port, source = LINK_LOCAL }: Packet): string {
  return protocol === VRRP
    ? `--add-rich-rule='rule family=ipv${family} source address=${source} protocol value=vrrp accept'`
    : `--add-rich-rule='rule port port=${port} protocol=tcp accept'`
}

function openingCommand(firewall: ObservedFirewall, { need, chain }: Blocked, flavour: Exclude<Flavour, 'firewalld'>): string {
  const { family = 4, hook, protocol, source = LINK_LOCAL, destination = '' } = need.packet
  const six = family === 6 ? '6' : ''
  switch (flavour) {
    case 'ufw':
      if (protocol !== VRRP) return `ufw ${ufwMatch(need.packet)}`
      if (ufwKnowsVrrp(firewall.ufw ?? ''))
        return hook === 'input' ? `ufw allow proto vrrp from ${source}` : `ufw allow out proto vrrp to ${destination}`
      return hook === 'input'
        ? `put "-A ufw${six}-before-input -p 112 -s ${source} -j ACCEPT" above COMMIT in /etc/ufw/before${six}.rules, then ufw reload`
        : `put "-A ufw${six}-before-output -p 112 -d ${destination} -j ACCEPT" above COMMIT in /etc/ufw/before${six}.rules, then ufw reload`
    case 'nftables':
      return `nft insert rule ${chain.family} ${chain.table} ${chain.name} ${nftMatch(need.packet)} accept (and the same in /etc/nftables.conf)`
    case 'iptables':
      return `ip${six}tables -I ${chain.name} ${iptablesMatch(need.packet)} -j ACCEPT (and save it, as netfilter-persistent save does)`
  }
}

/** The rule for TCP or UDP as `ufw show added` writes it. */
export function ufwMatch(packet: Packet): string {
  if (packet.hook === 'input') return `allow ${packet.port}/tcp`
  return packet.protocol === UDP
    ? `allow out to ${packet.destination} port ${packet.port} proto udp`
    : `allow out to ${packet.destination} proto tcp`
}

export function nftMatch({ family, hook, protocol, port, source = LINK_LOCAL, destination = '' }: Packet): string {
  const word = family === 6 ? 'ip6' : 'ip'
  const ofFamily = (number: number) => (family === 6 ? `meta l4proto ${number}` : `ip protocol ${number}`)
  if (protocol === VRRP) return `${word} ${hook === 'input' ? `saddr ${source}` : `daddr ${destination}`} ${ofFamily(VRRP)}`
  if (hook === 'input') return `tcp dport ${port}`
  return `${word} daddr ${destination} ${protocol === UDP ? `udp dport ${port}` : ofFamily(TCP)}`
}

export function iptablesMatch({ hook, protocol, port, source = LINK_LOCAL, destination = '' }: Packet): string {
  if (protocol === VRRP) return hook === 'input' ? `-p 112 -s ${source}` : `-p 112 -d ${destination}`
  if (hook === 'input') return `-p tcp --dport ${port}`
  return protocol === UDP ? `-d ${destination} -p udp --dport ${port}` : `-d ${destination} -p tcp`
}
