/** Clusters for tests: three servers with one address, in either profile, and what a probe of them would report. */
import type { Inventory, InventoryInstance } from '../../src/inventory/inventory.ts'
import { buildCluster } from '../../src/domain/cluster.ts'
import type { Cluster } from '../../src/domain/cluster-types.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import type { NodeFacts, ObservedForFacts } from '../../src/domain/node-facts.ts'
import { Secret } from '../../src/secret.ts'
import type { InterfaceAddress } from '../../src/state/machine.ts'

export const HAPROXY: Inventory['haproxy'] = {
  frontends: [{ name: 'web', bind: [':80'], mode: 'http', default_backend: 'app' }],
  backends: [{ name: 'app', servers: [{ name: 'app-1', address: '192.0.2.111:8080', check: true }] }],
}

/** `instance` and `more` override the three-server inventory. */
export function inventoryWith(instance: Partial<InventoryInstance> = {}, more: Partial<Inventory> = {}): Inventory {
  return {
    servers: [1, 2, 3].map(n => ({ name: `srv-${n}`, host: `192.0.2.1${n}` })),
    vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'], ...instance }],
    haproxy: HAPROXY,
    ...more,
  }
}

export function clusterWith(instance: Partial<InventoryInstance> = {}, more: Partial<Inventory> = {}): Cluster {
  return buildCluster(inventoryWith(instance, more), { authPass: () => new Secret('pass1234') })
}

export function classicWith(instance: Partial<InventoryInstance> = {}, more: Partial<Inventory> = {}): Cluster {
  return clusterWith(instance, { profile: 'classic', ...more })
}

/** "eth0 192.0.2.11/24" */
export function addresses(...lines: readonly string[]): readonly InterfaceAddress[] {
  return lines.map(line => {
    const [name = '', rest = ''] = line.split(' ')
    const [address = '', prefix = ''] = rest.split('/')
    return { interface: name, family: address.includes(':') ? 6 : 4, address, prefix: Number(prefix) }
  })
}

/** A server that has these addresses and this keepalived. */
export function observed(own: readonly InterfaceAddress[], keepalived = '1:2.2.7-1+b2'): ObservedForFacts {
  return {
    facts: {
      os: { id: 'debian', like: '', version: '12', codename: 'bookworm', pretty: 'Debian GNU/Linux 12 (bookworm)' },
      addresses: [...addresses('lo 127.0.0.1/8', 'lo ::1/128'), ...own],
    },
    packages: { keepalived: { installed: keepalived, candidate: keepalived } },
    openConnections: { ability: { kind: 'able' }, savedIn: [] },
  }
}

/** Facts of three servers with one interface each. */
export function factsOf(cluster: Cluster, keepalived?: string): Readonly<Record<string, NodeFacts>> {
  return nodeFactsFor(
    cluster,
    Object.fromEntries(cluster.servers.map((s, i) => [s.name, observed(addresses(`eth0 192.0.2.1${i + 1}/24`), keepalived)])),
  )
}

/** The facts of one server; throws where there is no such server, because the test is then wrong. */
export function factsOfServer(cluster: Cluster, server: string, keepalived?: string): NodeFacts {
  const facts = factsOf(cluster, keepalived)[server]
  if (facts === undefined) throw new Error(`no server ${server}`)
  return facts
}
