/** The cluster by its keepalived.conf files and not by the inventory: a rollback must be judged by what it restores. */
import { parseVirtualAddress } from '../addresses.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { type ConfNode, child, listOf, parseKeepalivedConf, valueOf } from './parse.ts'

/**
 * `confs`: keepalived.conf by server. The result has the instances of all of them. What peers share is taken from the first server that
 * has the instance, priorities from each. Everything else is from the inventory's cluster.
 */
export function clusterAsConfigured(cluster: Cluster, confs: ReadonlyMap<string, string>): Cluster {
  const parsed = new Map([...confs].map(([server, text]) => [server, parseKeepalivedConf(text).nodes]))
  const names = [...new Set([...parsed.values()].flatMap(nodes => instancesOf(nodes).map(nameOf)))]
  const isFast = [...parsed.values()].some(nodes =>
    nodes.some(node => node.words[0] === 'track_file' || node.words[0] === 'vrrp_track_file'),
  )
  return {
    ...cluster,
    profile: isFast ? 'fast' : 'classic',
    servers: cluster.servers.filter(server => confs.has(server.name)),
    instances: names.flatMap(name => instanceOf(cluster, name, parsed) ?? []),
  }
}

function instancesOf(nodes: readonly ConfNode[]): readonly ConfNode[] {
  return nodes.filter(node => node.words[0] === 'vrrp_instance')
}

function nameOf(instance: ConfNode): string {
  return instance.words[1] ?? ''
}

function instanceOf(cluster: Cluster, name: string, parsed: ReadonlyMap<string, readonly ConfNode[]>): Instance | undefined {
  const by = [...parsed].flatMap(([server, nodes]) => {
    const instance = instancesOf(nodes).find(node => nameOf(node) === name)
    return instance === undefined ? [] : [{ server, nodes, instance }]
  })
  const [first] = by
  if (first === undefined) return undefined
  const known = cluster.instances.find(instance => instance.name === name)
  const globals = first.nodes.find(node => node.words[0] === 'global_defs')
  const version = (valueOf(first.instance, 'version') ?? valueOf(globals, 'vrrp_version')) === '3' ? 3 : 2
  return {
    name,
    interface: Object.fromEntries(by.map(({ server, instance }) => [server, valueOf(instance, 'interface')])),
    virtualRouterId: Number(valueOf(first.instance, 'virtual_router_id') ?? 0),
    priority: Object.fromEntries(by.map(({ server, instance }) => [server, Number(valueOf(instance, 'priority') ?? 100)])),
    advertIntMs: Math.round(Number(valueOf(first.instance, 'advert_int') ?? 1) * 1000),
    version,
    authentication: undefined,
    virtualAddresses: listOf(first.instance, 'virtual_ipaddress').flatMap(line => parseVirtualAddress(line.words[0] ?? '') ?? []),
    nopreempt: by.some(({ instance }) => child(instance, 'nopreempt') !== undefined),
    preemptDelayMs: Math.round(Number(valueOf(first.instance, 'preempt_delay') ?? 0) * 1000),
    unicastPeers: child(first.instance, 'unicast_peer') === undefined ? 'none' : 'all',
    unicastSrcIp: Object.fromEntries(by.map(({ server, instance }) => [server, valueOf(instance, 'unicast_src_ip')])),
    settings: known?.settings ?? {},
    smtpAlert: by.some(({ instance }) => child(instance, 'smtp_alert') !== undefined),
  }
}
