/** What the servers heard from each other, and from other routers. Pure. */
import type { ObservedNode } from '../../state/observed.ts'
import type { WireLink, WireReport } from '../../state/wire.ts'
import type { Cluster } from '../cluster-types.ts'
import { passesSurely } from '../firewall/chains.ts'
import { chainsOf, firewallNeeds, VRRP, VRRP_GROUP } from '../firewall/needs.ts'
import type { NodeFacts } from '../node-facts.ts'
import { failed, type Finding, passed, unknown, warning } from './finding.ts'

export type Facts = Readonly<Record<string, NodeFacts | undefined>>
/** Servers whose own packet filter is known to stop VRRP: it was reported already, or this deploy opens it. */
export type Explained = ReadonlyMap<string, 'told' | 'opened'>
export type WireReports = ReadonlyMap<string, readonly (WireReport | undefined)[]>

/** The networks on which the other servers of `asked` must hear this one. IPv4 only: IPv6 is not tried. */
export function wireLinksOf(cluster: Cluster, node: ObservedNode, facts: Facts, asked: readonly string[]): readonly WireLink[] {
  const { server } = node
  const own = facts[server]
  if (own === undefined) return []
  const chains = node.firewall === undefined ? undefined : chainsOf(node.firewall)
  const outwards = firewallNeeds(cluster, server, own).filter(
    ({ packet }) => packet.hook === 'output' && packet.protocol === VRRP && packet.family !== 6,
  )
  const mayRefuse = chains === undefined || outwards.some(need => !passesSurely(chains, need.packet))
  const links = cluster.instances.flatMap((instance): WireLink[] => {
    const address = own.srcIp[instance.name]?.[server]
    if (instance.virtualAddresses[0]?.family !== 4 || address === undefined) return []
    const peers = asked.flatMap(peer => (peer === server ? [] : (own.srcIp[instance.name]?.[peer] ?? [])))
    return [{ interface: own.interface[instance.name] ?? '', address, multicast: instance.unicastPeers === 'none', peers, mayRefuse }]
  })
  const keys = links.map(link => JSON.stringify(link))
  return links.filter((_, index) => keys.indexOf(keys[index] ?? '') === index)
}

/** Whether a peer that should have been heard was not, and nothing explains it. The servers are then asked once more. */
export function isAnyPeerSilent(reports: WireReports, explained: Explained): boolean {
  return [...reports].some(
    ([server, own]) =>
      !explained.has(server) && own.some(report => report !== undefined && report.link.peers.some(peer => !report.passed.includes(peer))),
  )
}

/** The server that has the address, else the address. */
export function ownerOf(nodes: readonly ObservedNode[], address: string): string {
  return nodes.find(node => node.facts.addresses.some(own => own.address === address))?.server ?? address
}

export function wireFindings(
  cluster: Cluster,
  nodes: readonly ObservedNode[],
  facts: Facts,
  reports: WireReports,
  explained: Explained,
): readonly Finding[] {
  const nameOf = (address: string) => ownerOf(nodes, address)
  return nodes.flatMap(({ server }) => {
    const own = reports.get(server)
    if (own === undefined || own.length === 0)
      return [unknown('vrrp', server, 'not tried'), unknown('router id', server, 'not listened for')]
    return own.flatMap(report =>
      report === undefined
        ? [unknown('vrrp', server, 'it could not be tried: perl did not run'), unknown('router id', server, 'not listened for')]
        : [...heardFindings(server, report, reports, nameOf, explained), routerFinding(cluster, server, report, nodes, facts)],
    )
  })
}

function heardFindings(
  server: string,
  report: WireReport,
  reports: WireReports,
  nameOf: (address: string) => string,
  explained: Explained,
): readonly Finding[] {
  const { link } = report
  const silent = link.peers.filter(peer => !report.passed.includes(peer))
  const names = (addresses: readonly string[]) => addresses.map(nameOf).join(' and ')
  const filtered = silent.filter(peer => report.arrived.includes(peer))
  const lost = silent.filter(peer => !report.arrived.includes(peer))
  const findings: Finding[] = []
  if (filtered.length > 0 && explained.get(server) === 'opened') {
    findings.push(passed('vrrp', server, `VRRP from ${names(filtered)} arrives; its firewall will be opened`))
  } else if (filtered.length > 0 && explained.has(server)) {
    findings.push({ check: 'vrrp', server, verdict: 'failed', found: `its firewall drops VRRP from ${names(filtered)}` })
  } else if (filtered.length > 0) {
    findings.push(
      failed('vrrp', {
        code: 'E_VRRP_BLOCKED',
        server,
        what: `VRRP (protocol 112) from ${names(filtered)} arrives, and its own packet filter drops it`,
        why: [`both would hold the address: ${server} hears nobody on ${link.interface}`],
        fix: filtered
          .map(
            peer => `let protocol 112 in from ${peer}: ufw allow proto vrrp from ${peer}, or iptables -I INPUT -p 112 -s ${peer} -j ACCEPT`,
          )
          .join('; '),
      }),
    )
  }
  if (lost.length > 0) {
    const apart = lost.filter(peer => !report.neighbours.includes(peer))
    const peerFilters = lost.filter(peer => refusalsOf(peer, reports).length > 0)
    findings.push(
      failed('vrrp', {
        code: 'E_VRRP_BLOCKED',
        server,
        what: `VRRP (protocol 112) from ${names(lost)} does not arrive on ${link.interface}`,
        why: [
          `both would hold the address: ${server} hears nothing of ${names(lost)}`,
          ...(apart.length > 0 ? [`${names(apart)} does not answer ARP there: they are not in one network segment`] : []),
          ...(peerFilters.length > 0 ? [`${names(peerFilters)} does not send it: its own packet filter refuses`] : []),
        ],
        fix:
          apart.length > 0
            ? 'put all servers of an instance into one network segment, or name another interface'
            : `let protocol 112 pass between them: a switch, a security group or a firewall on the way stops it${link.multicast ? '; where only multicast is stopped, unicast_peer: true avoids it' : ''}`,
      }),
    )
  }
  const refused = Object.entries(report.refused)
  if (refused.length > 0 && explained.get(server) !== 'opened') {
    const targets = refused.map(([address]) => (address === VRRP_GROUP ? address : nameOf(address))).join(' and ')
    findings.push(
      failed('vrrp', {
        code: 'E_VRRP_BLOCKED',
        server,
        what: `its own packet filter does not let VRRP (protocol 112) out to ${targets}`,
        why: refused.map(([address, reason]) => `sending to ${address}: ${reason}`),
        fix: 'let it out: ufw allow out proto vrrp, or iptables -I OUTPUT -p 112 -j ACCEPT',
      }),
    )
  }
  if (findings.length > 0) return findings
  if (link.peers.length === 0) return [unknown('vrrp', server, 'there was no peer to hear')]
  return [passed('vrrp', server, `heard ${names(link.peers)} on ${link.interface}`)]
}

function refusalsOf(address: string, reports: WireReports): readonly string[] {
  return [...reports.values()].flat().flatMap(report => (report?.link.address === address ? Object.keys(report.refused) : []))
}

function routerFinding(cluster: Cluster, server: string, report: WireReport, nodes: readonly ObservedNode[], facts: Facts): Finding {
  const ours = new Set([
    ...nodes.flatMap(node => node.facts.addresses.map(own => own.address)),
    ...Object.values(facts[server]?.srcIp ?? {}).flatMap(addresses => Object.values(addresses)),
    ...cluster.servers.map(one => one.host),
  ])
  const wanted = new Set(
    cluster.instances.filter(one => facts[server]?.interface[one.name] === report.link.interface).map(one => one.virtualRouterId),
  )
  const strangers = report.routers.filter(router => wanted.has(router.virtualRouterId) && !ours.has(router.address))
  const [first] = strangers
  if (first === undefined)
    return passed('router id', server, `${[...wanted].join(', ')}: no other router on ${report.link.interface} uses it`)
  const what = `${[...new Set(strangers.map(one => one.address))].join(' and ')} already speaks VRRP with virtual_router_id ${first.virtualRouterId} on ${report.link.interface}`
  const used = new Set([...report.routers.map(router => router.virtualRouterId), ...cluster.instances.map(one => one.virtualRouterId)])
  const free = Array.from({ length: 255 }, (_, index) => index + 1).find(id => id >= first.virtualRouterId && !used.has(id))
  const fix = `choose another virtual_router_id${free === undefined ? '' : `, such as ${free}`}; or stop keepalived on ${first.address} if it is a former server of this cluster`
  // With servers left out, it may be one of them, with an address that is not known.
  if (nodes.length < cluster.servers.length) return warning('router id', server, what, fix)
  return failed('router id', {
    code: 'E_VRID_TAKEN',
    server,
    what,
    why: ['two clusters with the same number on one network hear each other, and each treats the other as a misconfigured peer'],
    fix,
  })
}
