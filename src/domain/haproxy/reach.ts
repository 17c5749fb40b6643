/** Whether clients of a virtual address reach a frontend at all, by haproxy.cfg. */
import type { Issue } from '../../inventory/inventory.ts'
import { canonicalAddress } from '../addresses.ts'
import type { Cluster } from '../cluster-types.ts'
import { readBinds } from './read.ts'

/**
 * Virtual addresses on which nothing listens at the probe's port, because every bind of that port names another address: gates and drills
 * would never get an answer there. A bind to a name or a variable may mean any address, and a port without a bind may be in a range.
 */
export function unreachedAddresses(cluster: Cluster): readonly Issue[] {
  const { port } = cluster.probe
  const binds = readBinds(cluster.haproxyConfig.text).filter(bind => bind.port === port)
  if (binds.length === 0) return []
  if (binds.some(({ address }) => address === undefined || canonicalAddress(address) === undefined)) return []
  const bound = [...new Set(binds.map(bind => bind.address))]
  const missed = cluster.instances.flatMap(instance => instance.virtualAddresses).filter(vip => !bound.includes(vip.address))
  return missed.map(({ address, family }) => ({
    path: cluster.haproxyConfig.verbatim ? 'haproxy.config' : 'haproxy.frontends',
    message: `nothing listens on ${address}, port ${port}, where gates and drills ask: it is bound to ${bound.join(', ')} only`,
    fix: `bind :${port} or ${family === 6 ? `[${address}]` : address}:${port}, or set probe.port to a port that clients of ${address} use`,
  }))
}
