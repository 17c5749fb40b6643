/**
 * /usr/local/lib/hactl/open-connections.nft: the rules by which a server sends packets of connections that it does not know on to the servers
 * that may know them (decision 37). Pure. The program adds what only the server knows: who owns the tables, and its own MAC addresses.
 */
import type { Cluster } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import { GENERATED_LINE } from '../paths.ts'
import { type Place, placesOf, portsBoundByName, portsOfHaproxy } from './places.ts'

/** UDP port of announcements and probes; also the priority of the program's routing rule and the number of its routing table. */
export const OPEN_CONNECTIONS_PORT = 8945

/** One bit, which no other program is known to use (Kubernetes: 0x4000 and 0x8000; Tailscale: 0xff0000). */
export const MARK = 0x40000000
const MARK_WORD = `0x${MARK.toString(16)}`

/**
 * From an announcement until its sender no longer counts as one that may know connections, in ms. Announced every 0.25 s: five may be lost or
 * late. A dead server is asked for no longer than this (evidence O9).
 */
export const MAY_KNOW_MS = 1500
const MAY_KNOW = `${MAY_KNOW_MS}ms`

/** Probed every second. A peer that does not receive such packets must not be sent any (evidence O8). */
const PROVEN = '5s'

/** From the answer to a client's SYN until there is a socket that `nft socket` finds (evidence O2): a lost answer is sent again after 1 s, and after 3 s. */
export const OPENING_SECONDS = 5
const OPENING = `${OPENING_SECONDS}s`

/** From then until the client sends something, which shows that the connection is its own. */
const UNTOLD = '15s'

/** More data than the first may pass the rules before there is a socket: for this long. */
const ANSWERED = '1s'

/** The program ends these connections once a second. */
const SUPERSEDED = '10s'

/** Each stop of a probe takes one off: it leaves with this, arrives with one less, and is back with two less. */
const PROBE_TTL = 9

/** Whom a probe comes from: addresses of the documentation's, which no server has (RFC 5737, RFC 3849). */
export const STRANGERS = { 4: '192.0.2.1', 6: '2001:db8::1' } as const

/** What differs between the families. */
const FAMILIES = {
  4: {
    word: 'ip',
    ttl: 'ip ttl',
    address: 'ipv4_addr',
    icmp: 1,
    errors: 'icmp type { destination-unreachable, time-exceeded, parameter-problem }',
  },
  6: {
    word: 'ip6',
    ttl: 'ip6 hoplimit',
    address: 'ipv6_addr',
    icmp: 58,
    errors: 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }',
  },
} as const

/**
 * An announcement that teaches the sender's MAC, one that says "I may know connections of this virtual router", and a probe. Three bytes are
 * sent: the virtual router's number, the kind, and the instance's place in the sender's settings, which only the sender itself reads.
 */
const KINDS = { here: 0, mayKnow: 1, probe: 2 } as const

/** Ports that haproxy binds to an address by name, and all of its ports: undefined where they are not all known. */
interface Ports {
  readonly named: readonly string[]
  readonly all: readonly string[] | undefined
}

interface Chain {
  readonly name: string
  /** Of a base chain: `type ... hook ...;`. */
  readonly hook?: string
  readonly rules: readonly string[]
}

/** One table for each family that has a virtual address. Loaded again, it keeps what its sets contain. */
export function renderOpenConnectionsRules(cluster: Cluster, serverName: string, facts: NodeFacts): string {
  const places = placesOf(cluster, serverName, facts)
  const ports = { named: portsBoundByName(cluster), all: portsOfHaproxy(cluster) }
  const tables = ([4, 6] as const).flatMap(family => {
    const here = places.filter(place => place.family === family)
    return here.length === 0 ? [] : [renderTable(family, here, ports)]
  })
  return [`${GENERATED_LINE}\n`, ...tables].join('\n')
}

function renderTable(family: 4 | 6, places: readonly Place[], ports: Ports): string {
  const { word, address } = FAMILIES[family]
  const one = (set: string) => `set ${set} { type ether_type; size 4; flags dynamic,timeout; timeout 1s; }`
  const sets = [
    ...places.flatMap(({ name, peers }) => [
      `set own_mac.${name} { type ether_addr; size 1; }`,
      one(`window.${name}`),
      ...peers.flatMap(peer => [
        `set mac.${name}.${peer.name} { type ether_addr; size 16; flags dynamic,timeout; timeout 1h; }`,
        one(`may_know.${name}.${peer.name}`),
        one(`proven.${name}.${peer.name}`),
        `counter sent_on.${name}.${peer.name} { }`,
      ]),
    ]),
    `set superseded { type ${address} . inet_service . ${address} . inet_service; size 16384; flags dynamic,timeout; timeout ${SUPERSEDED}; }`,
    `set opening { type ${address} . inet_service . ${address} . inet_service; size 131072; flags dynamic,timeout; timeout ${OPENING}; }`,
    // Sets of their own: nft 0.9.8 takes no sequence number into a key with others.
    `set acknowledged { typeof tcp sequence; size 131072; flags dynamic,timeout; timeout ${OPENING}; }`,
    `set answered { type ${address} . inet_service . ${address} . inet_service; size 16384; flags dynamic,timeout; timeout ${ANSWERED}; }`,
    // A small one: a stranger chooses what is in it, and each of a kept client's packets draws from it (decision 41).
    `set answers { typeof tcp ackseq; size 4096; flags dynamic,timeout; timeout ${ANSWERED}; }`,
    `set untold { type ${address} . inet_service . ${address} . inet_service; size 131072; flags dynamic,timeout; timeout ${UNTOLD}; }`,
    // Connections of clients that were open here. What has been told is not deleted from "untold": a "delete" in a rule frees no memory before Linux 6.5 (nft_rhash_delete).
    `set told { type ${address} . inet_service . ${address} . inet_service; size 131072; flags dynamic,timeout; timeout ${UNTOLD}; }`,
  ]
  const chains = chainsOf(family, places, ports)
  const paint = `${word} hactl paint`
  return [
    `table ${word} hactl {`,
    ...sets.map(set => `  ${set}`),
    ...chains.map(({ name, hook }) => `  chain ${name} { ${hook === undefined ? '' : `${hook} `}}`),
    '}',
    ...chains.map(({ name }) => `flush chain ${word} hactl ${name}`),
    ...(ports.named.length > 0 ? [] : [`add chain ${paint} { ${PAINT_HOOK} }`, `flush chain ${paint}`, `delete chain ${paint}`]),
    `table ${word} hactl {`,
    ...chains.flatMap(({ name, rules }) => [`  chain ${name} {`, ...rules.map(rule => `    ${rule}`), '  }']),
    '}',
    '',
  ].join('\n')
}

// After all others who may mark a packet, and before the socket takes its mark.
const PAINT_HOOK = 'type filter hook input priority 1000; policy accept;'
// Before raw (-300) and conntrack (-200): nothing on this server tracks what it sends on.
const ARRIVE_HOOK = 'type filter hook prerouting priority -350; policy accept;'
// After all others who may change an answer's addresses.
const LEAVE_HOOK = 'type filter hook postrouting priority 300; policy accept;'

function chainsOf(family: 4 | 6, places: readonly Place[], ports: Ports): readonly Chain[] {
  const { word } = FAMILIES[family]
  const addresses = places.flatMap(place => place.virtualAddresses)
  return [
    ...(ports.named.length === 0
      ? []
      : [
          {
            name: 'paint',
            hook: PAINT_HOOK,
            rules: [`${word} daddr ${listOf(addresses)} tcp dport ${listOf(ports.named)} meta mark set meta mark | ${MARK_WORD}`],
          },
        ]),
    knownChain(family, ports.named),
    supersededChain(family, ports.named),
    ...places.flatMap(place => placeChains(family, place, ports)),
    {
      name: 'announcement',
      rules: [
        ...places.map(({ name, index }) => `iifname "lo" @th,72,16 ${KINDS.probe * 256 + index} goto probe.${name}`),
        ...places.map(place => `iifname "${place.interface}" @th,64,8 ${place.virtualRouterId} goto heard.${place.name}`),
      ],
    },
    {
      name: 'arrive',
      hook: ARRIVE_HOOK,
      rules: [
        `udp dport ${OPEN_CONNECTIONS_PORT} goto announcement`,
        // First of all, and the only rule for most packets of most days (evidence O19).
        ...places.map(({ name, virtualAddresses }) => `${word} daddr ${listOf(virtualAddresses)} meta protocol != @window.${name} accept`),
        // A server that is a bridge, too, sees what others send to each other: only what was sent to its own MAC address is its own.
        ...places.map(
          ({ name, interface: link, virtualAddresses }) =>
            `${word} daddr ${listOf(virtualAddresses)} iifname "${link}" ether daddr @own_mac.${name} goto to.${name}`,
        ),
      ],
    },
    { name: 'leave', hook: LEAVE_HOOK, rules: places.map(place => noteAnswer(family, place, ports.all)) },
  ]
}

/**
 * What a client sends next has the sequence number that this answer to its SYN acknowledges. Its addresses alone are no proof: a stranger's SYN has
 * them as well, and the client's older connection at another server goes on (evidence O17).
 */
function noteAnswer(family: 4 | 6, { name, virtualAddresses }: Place, ports: readonly string[] | undefined): string {
  const { word } = FAMILIES[family]
  const own = `${word} saddr ${listOf(virtualAddresses)}${ports === undefined ? '' : ` tcp sport ${listOf(ports)}`}`
  const flow = `${word} daddr . tcp dport . ${word} saddr . tcp sport`
  return `tcp flags & (syn|ack) == syn|ack ${own} meta protocol @window.${name} update @opening { ${flow} timeout ${OPENING} } update @acknowledged { tcp ackseq timeout ${OPENING} } update @untold { ${flow} timeout ${UNTOLD} }`
}

/** Accepts a packet of a connection that this server knows, and returns for all others. */
function knownChain(family: 4 | 6, ports: readonly string[]): Chain {
  const flow = flowOf(FAMILIES[family].word)
  return {
    name: 'known',
    rules: [
      ...withSocket(ports, 'accept'),
      // It was open here: the client's FIN may come when its socket waits for nothing else any more, and is no full one (evidence O2).
      `${flow} @told accept`,
      // A rule of its own: a set that is full ends it.
      `${flow} @opening tcp sequence @acknowledged update @answered { ${flow} timeout ${ANSWERED} } update @answers { tcp ackseq timeout ${ANSWERED} }`,
      `${flow} @opening tcp sequence @acknowledged accept`,
      // One batch of a network card passes these rules as a whole, before its first packet has made a socket. All of it acknowledges the same answer.
      `${flow} @answered tcp ackseq @answers accept`,
    ],
  }
}

/** Rules for a packet of a connection that has a socket here. */
function withSocket(ports: readonly string[], verdict: string): readonly string[] {
  if (ports.length === 0) return [`socket wildcard 0 ${verdict}`]
  // The listening socket has the address as well: only a connection's has the mark of its first packet.
  return [`socket mark & ${MARK_WORD} == ${MARK_WORD} ${verdict}`, `tcp dport != ${listOf(ports)} socket wildcard 0 ${verdict}`]
}

/** A client has started a new connection with the ports of this one, at another server. What it sends must not be taken for this one. */
function supersededChain(family: 4 | 6, ports: readonly string[]): Chain {
  const { word } = FAMILIES[family]
  const noted = `update @superseded { ${flowOf(word)} timeout ${SUPERSEDED} } drop`
  return { name: 'superseded', rules: [...withSocket(ports, noted), 'drop'] }
}

function placeChains(family: 4 | 6, place: Place, ports: Ports): readonly Chain[] {
  const { word, ttl, icmp, errors } = FAMILIES[family]
  const stranger = STRANGERS[family]
  const { name, peers, virtualAddresses } = place
  // A packet visits each server once: it arrives at the last of them with a TTL of 2. With 1 arrives what a new connection supersedes.
  const hops = peers.length + 2
  const may = (peer: string) => `meta protocol @may_know.${name}.${peer} meta protocol @proven.${name}.${peer}`
  const sentBy = (peer: string) => `${ttl} < ${hops} ether saddr @mac.${name}.${peer}`
  const probe = `${word} saddr ${stranger} @th,72,8 ${KINDS.probe}`
  return [
    ...peers.map(peer => ({
      name: `ask.${name}.${peer.name}`,
      rules: [`${ttl} > ${hops} ${ttl} set ${hops}`, `counter name "sent_on.${name}.${peer.name}" dup to ${peer.target} drop`],
    })),
    {
      // A server that gets an error about a connection of another server cannot use it, and takes no harm from it.
      name: `other.${name}`,
      rules: [`meta l4proto != ${icmp} accept`, `${errors} goto errors.${name}`, 'accept'],
    },
    {
      name: `errors.${name}`,
      rules: [
        ...peers.map(peer => `${sentBy(peer.name)} accept`),
        `${ttl} > ${hops} ${ttl} set ${hops}`,
        ...peers.map(peer => `${may(peer.name)} dup to ${peer.target}`),
        'accept',
      ],
    },
    { name: `untold.${name}`, rules: withSocket(ports.named, `goto tell.${name}`) },
    {
      // A peer that may have an older connection with the ports of a new one hears of it by a reset, which starts nothing anywhere.
      name: `tell.${name}`,
      rules: [
        `add @told { ${flowOf(word)} timeout ${UNTOLD} }`,
        ...peers.flatMap(peer =>
          ['ack', 'psh|ack'].map(
            flags => `tcp flags == ${flags} ${may(peer.name)} ${ttl} set 2 tcp flags set rst dup to ${peer.target} tcp flags set ${flags}`,
          ),
        ),
        'accept',
      ],
    },
    {
      name: `sent_on.${name}`,
      rules: [
        `${ttl} 1 tcp flags == rst goto superseded`,
        'jump known',
        `${ttl} <= 2 accept`,
        ...peers.map(peer => `ether saddr != @mac.${name}.${peer.name} ${may(peer.name)} goto ask.${name}.${peer.name}`),
        'accept',
      ],
    },
    {
      name: `to.${name}`,
      rules: [
        `meta l4proto != 6 goto other.${name}`,
        ...peers.map(peer => `${sentBy(peer.name)} goto sent_on.${name}`),
        // Sent on, a reset would say that a new connection supersedes this one. Its flags may be in a fragment that comes later.
        `${ttl} <= 2 accept`,
        // What is translated to another address or port (docker) has no socket here: only haproxy's own connections are looked for.
        ...(ports.all === undefined ? [] : [`tcp dport != ${listOf(ports.all)} accept`]),
        // A new connection is always the holder's.
        'tcp flags & (syn|ack) == syn accept',
        // Only what has no other flags: those of the copy are set back to what they were.
        `tcp flags & (fin|syn|rst|urg|ecn|cwr) == 0x0 ${flowOf(word)} @untold ${flowOf(word)} != @told jump untold.${name}`,
        'jump known',
        ...peers.map(peer => `${may(peer.name)} goto ask.${name}.${peer.name}`),
        // Nobody knows it: this server's own kernel tells the client so.
        'accept',
      ],
    },
    {
      name: `probe.${name}`,
      rules: [
        `${word} saddr set ${stranger} ${word} daddr set ${virtualAddresses[0]} ${ttl} set ${PROBE_TTL}`,
        ...peers.map(peer => `dup to ${peer.target}`),
        'drop',
      ],
    },
    ...peers.map(peer => ({
      name: `from.${name}.${peer.name}`,
      rules: [
        `update @mac.${name}.${peer.name} { ether saddr timeout 1h }`,
        `@th,72,8 ${KINDS.mayKnow} update @may_know.${name}.${peer.name} { meta protocol timeout ${MAY_KNOW} } update @window.${name} { meta protocol timeout ${MAY_KNOW} }`,
        'drop',
      ],
    })),
    {
      name: `heard.${name}`,
      rules: [
        ...peers.map(peer => `${word} saddr ${peer.address} ${ttl} 255 goto from.${name}.${peer.name}`),
        ...peers.map(peer => `${probe} ${ttl} ${PROBE_TTL - 1} ether saddr @mac.${name}.${peer.name} dup to ${peer.target} drop`),
        ...peers.map(
          peer =>
            `${probe} ${ttl} ${PROBE_TTL - 2} ether saddr @mac.${name}.${peer.name} update @proven.${name}.${peer.name} { meta protocol timeout ${PROVEN} } drop`,
        ),
      ],
    },
  ]
}

function flowOf(word: string): string {
  return `${word} saddr . tcp sport . ${word} daddr . tcp dport`
}

function listOf(values: readonly string[]): string {
  return values.length === 1 ? String(values[0]) : `{ ${values.join(', ')} }`
}
