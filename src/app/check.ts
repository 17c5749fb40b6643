import { lintKeepalivedConf } from '../domain/keepalived/lint.ts'
import { packageFolderIssues } from '../domain/packages.ts'
import { clusterIssues } from '../domain/vrrp/cluster-issues.ts'
import { failoverTable } from '../domain/vrrp/failover-table.ts'
import { worstCaseOutage } from '../domain/vrrp/outage.ts'
import { HactlError } from '../errors.ts'
import type { Issue } from '../inventory/inventory.ts'
import type { Ports } from '../ports.ts'
import { limitedServers } from './connect.ts'
import { MAX_TEXT_BYTES, readInput, whyUnread } from './input-file.ts'
import { clusterOf, invalidInventory, readInventory } from './load.ts'

export interface CheckReport {
  readonly cluster: string
  readonly profile: string
  readonly servers: readonly string[]
  readonly errors: readonly Issue[]
  readonly warnings: readonly Issue[]
  readonly table: readonly {
    readonly failed: readonly string[]
    readonly master: Readonly<Record<string, string | undefined>>
    readonly note?: string
  }[]
  readonly outages: readonly {
    readonly event: string
    readonly expectedMs: number | undefined
    readonly worstMs: number | undefined
    readonly how: string
    readonly openConnections: string
  }[]
}

export interface CheckInput {
  readonly inventoryPath: string
  /** The whole cluster is judged all the same. A name that it does not have is refused, as by every command. */
  readonly limit: readonly string[]
}

/** Judges an inventory without a network and without reading its secrets. Throws E_INVENTORY_MISSING, E_INVENTORY_INVALID and E_USAGE. */
export async function check(input: CheckInput, ports: Ports): Promise<CheckReport> {
  const read = await readInventory(input.inventoryPath, ports)
  if (read.inventory === undefined) throw invalidInventory(read)
  limitedServers({ inventory: read.inventory, path: read.path }, input.limit)
  const cluster = clusterOf(read, read.inventory, () => undefined)
  const issues = clusterIssues(cluster)
  return {
    cluster: cluster.name,
    profile: cluster.profile,
    servers: cluster.servers.map(server => server.name),
    errors: [...issues.errors, ...packageFolderIssues(cluster)],
    warnings: [...read.warnings, ...issues.warnings],
    table: failoverTable(cluster),
    outages: worstCaseOutage(cluster),
  }
}

/** Lints an existing keepalived.conf. Throws E_INVENTORY_MISSING where there is none. */
export async function checkConf(
  path: string,
  ports: Ports,
): Promise<{ readonly errors: readonly Issue[]; readonly warnings: readonly Issue[] }> {
  const file = await readInput(path, ports, MAX_TEXT_BYTES)
  if (file.kind !== 'read') {
    throw new HactlError({
      code: 'E_INVENTORY_MISSING',
      what: whyUnread(path, file),
      fix: 'name the keepalived.conf to be judged: hactl check --conf FILE',
    })
  }
  return lintKeepalivedConf(file.bytes.toString('utf8'))
}
