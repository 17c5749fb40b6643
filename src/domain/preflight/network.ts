/** Interfaces, ports and virtual addresses before a deploy. Pure. */
import type { Listener } from '../../state/network.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { isHeld } from '../addresses.ts'
import type { Cluster } from '../cluster-types.ts'
import { type Bind, readBinds } from '../haproxy/read.ts'
import { interfaceErrors } from '../node-facts.ts'
import { failed, failedBy, type Finding, passed, unknown, warning } from './finding.ts'

export function interfaceFindings(cluster: Cluster, nodes: readonly ObservedNode[]): readonly Finding[] {
  const errors = interfaceErrors(cluster, new Map(nodes.map(node => [node.server, node])))
  return nodes.flatMap(node => {
    const own = errors.filter(error => error.server === node.server)
    return own.length === 0
      ? [passed('interface', node.server, 'in the network of every virtual address')]
      : own.map(error => failedBy('interface', node.server, error))
  })
}

export function portFindings(cluster: Cluster, nodes: readonly ObservedNode[]): readonly Finding[] {
  const binds = readBinds(cluster.haproxyConfig.text)
  return nodes.flatMap(node => {
    const { server, listeners } = node
    if (listeners === undefined) return [unknown('ports', server, 'ss is not installed')]
    const taken = new Map(
      binds.flatMap(bind => {
        const other = listeners.find(listener => listener.process !== 'haproxy' && isSame(bind, listener))
        return other === undefined ? [] : [[`${other.process} ${bind.port}`, { bind, other }] as const]
      }),
    )
    if (taken.size === 0)
      return [passed('ports', server, `${[...new Set(binds.map(bind => bind.port))].join(', ')}: free or HAProxy's own`)]
    return [...taken.values()].map(({ bind, other }) => {
      const name = other.process ?? 'the kernel'
      return failed('ports', {
        code: 'E_PORT_TAKEN',
        server,
        what: `port ${bind.port} is taken by ${name}`,
        why: [`it listens on ${other.address ?? 'all addresses'}, where the frontend ${bind.section} is to listen`],
        fix: `stop it (ss -ltnp 'sport = :${bind.port}' shows it), or give ${bind.section} another port`,
      })
    })
  })
}

/** Whether two sockets exclude each other: the same port, and an address that both have. For IPv6, HAProxy decides what "all addresses" means. */
function isSame(bind: Bind, listener: Listener): boolean {
  if (bind.port !== listener.port) return false
  const family = bind.address?.includes(':') === true ? 6 : 4
  if (!listener.families.includes(family)) return false
  return bind.address === undefined || listener.address === undefined || bind.address === listener.address
}

/** Who answers for the virtual addresses: it must be nobody, or one of these servers. */
export function addressFindings(cluster: Cluster, nodes: readonly ObservedNode[]): readonly Finding[] {
  const ours = new Set(nodes.flatMap(node => node.facts.linkAddresses))
  const isComplete = nodes.length === cluster.servers.length
  const strangers = cluster.instances
    .flatMap(instance => instance.virtualAddresses)
    .flatMap(vip => {
      if (nodes.some(node => isHeld(node.facts.addresses, vip.address))) return []
      const seen = nodes.flatMap(node =>
        node.neighbours
          .filter(neighbour => neighbour.address === vip.address && !ours.has(neighbour.linkAddress))
          .map(neighbour => ({ server: node.server, address: vip.address, linkAddress: neighbour.linkAddress })),
      )
      const [first] = seen
      return first === undefined ? [] : [{ ...first, by: seen.map(one => one.server) }]
    })
  return nodes.flatMap((node): Finding[] => {
    const { server } = node
    const fixed = (node.staticAddresses ?? []).map(({ address, path }) =>
      warning(
        'address',
        server,
        `${path} gives it the virtual address ${address} at boot, whoever is master: two servers would answer for it`,
        `take ${address} out of ${path}`,
      ),
    )
    const own = strangers.filter(one => one.by.includes(server))
    if (own.length === 0) return fixed.length > 0 ? fixed : [passed('address', server, 'nobody else answers for the virtual addresses')]
    const taken = own.map(({ address, linkAddress, by }): Finding => {
      // With servers left out, the answer may come from one of them.
      if (!isComplete) return unknown('address', server, `${linkAddress} has ${address}: a server left out, or an unknown machine`)
      const what = `the virtual address ${address} is already in use by another machine`
      // Reported once, by the first server that saw it.
      if (by[0] !== server) return { check: 'address', server, verdict: 'failed', found: what }
      return failed('address', {
        code: 'E_VIP_TAKEN',
        server,
        what,
        why: [`${by.join(' and ')} got an answer for it from ${linkAddress}, which is none of these servers`],
        fix: `free it, or choose another address; ${linkAddress} is the MAC address of the machine that has it`,
      })
    })
    return [...taken, ...fixed]
  })
}
