import { certificateNames } from '../domain/haproxy/read.ts'
import { holderProblems, severalHoldersProblems } from '../domain/health.ts'
import { formerMemberProblems } from '../domain/members.ts'
import { clusterIssues } from '../domain/vrrp/cluster-issues.ts'
import { holdersOf, observeAndTell, probeRequestFor } from '../engine/operations/look.ts'
import { planFor } from '../engine/operations/prepare-plan.ts'
import { driftOf, type ServerStatus, serverStatus } from '../engine/operations/server-status.ts'
import { type HactlError, HactlErrors } from '../errors.ts'
import { statusOfFindings, verdictOn } from '../exit-status.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { issueLine, loadCluster } from './load.ts'
import { loadPlaybook } from './playbooks.ts'

export interface StatusReport {
  readonly servers: readonly ServerStatus[]
  readonly vips: readonly { readonly address: string; readonly holders: readonly string[] }[]
  /** Servers of the cluster that were not looked at: left out by --limit, or out of reach. Any of them may hold an address. */
  readonly unseen: readonly string[]
  /** 0; 7 on split brain or no holder, else 4 where a server could not be reached, else 5 where one is not healthy. */
  readonly exit: number
  readonly problems: readonly string[]
}

/** Reports what runs now on every server that answers. A server that does not answer is part of the report. */
export async function status(
  input: ConnectOptions & { readonly inventoryPath: string },
  ports: Ports,
  packageRoot: string,
): Promise<StatusReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  const playbook = await loadPlaybook('deploy', packageRoot, ports)
  const targets = await targetsOf(loaded, input, ports)
  const request = { ...probeRequestFor(cluster), certificates: certificateNames(cluster.haproxyConfig.text) }
  return withConnections(
    targets,
    { forks: input.forks, ports },
    session => observeAndTell(session, request, { ports, onEvent: () => {} }),
    async ({ failures }, observed) => {
      const nodes = [...observed.values()]
      const isComplete = nodes.length === cluster.servers.length
      const drift = driftOf(() => planFor(cluster, playbook, observed, { adopt: false, reload: false }))
      const servers = [...targets.keys()].map(name =>
        serverStatus({ cluster, name, node: observed.get(name), failures, drift: drift.byServer.get(name), nodes }),
      )
      const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      // A server out of sight may be the holder.
      const holder = isComplete ? holderProblems(cluster, nodes) : severalHoldersProblems(cluster, nodes)
      const { errors } = clusterIssues(cluster)
      return {
        servers,
        unseen: cluster.servers.map(({ name }) => name).filter(name => !observed.has(name)),
        vips: addresses.map(address => ({ address, holders: holdersOf(nodes, address) })),
        exit: exitOf(failures, holder, servers, ports),
        // Where a server is out of sight, a failed comparison says nothing new.
        problems: [...holder, ...formerMemberProblems(cluster, nodes), ...(isComplete ? drift.problems : []), ...errors.map(issueLine)],
      }
    },
  )
}

function exitOf(failures: readonly HactlError[], holder: readonly string[], servers: readonly ServerStatus[], ports: Ports): number {
  if (holder.length > 0) return statusOfFindings(['E_TWO_MASTERS'])
  if (failures.length > 0) return verdictOn(new HactlErrors(failures), ports).exit
  return statusOfFindings(servers.every(server => server.healthy) ? [] : ['E_UNHEALTHY'])
}
