import type { Cluster } from '../domain/cluster-types.ts'
import { certificateNames } from '../domain/haproxy/read.ts'
import {
  advertNotices,
  bootProblems,
  certificateProblems,
  dropinProblems,
  holderProblems,
  nodeProblems,
  severalHoldersProblems,
  unsafeFolders,
} from '../domain/health.ts'
import { drainsAtBoot, isDrained } from '../domain/trackers.ts'
import { type HactlError, HactlErrors } from '../errors.ts'
import { verdictOn } from '../exit-status.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { issueLine, loadCluster } from './load.ts'
import { formerMemberProblems } from './members.ts'
import { holdersOf, observeAndTell, probeRequestFor } from '../engine/operations/look.ts'
import { loadPlaybook } from './playbooks.ts'
import { planFor } from './prepare-plan.ts'
import { mayBeDead } from '../engine/lock.ts'
import { clusterIssues } from '../domain/vrrp/cluster-issues.ts'

export interface ServerStatus {
  readonly name: string
  readonly reachable: boolean
  /** keepalived's own word, the worst of its instances; "unknown" where it does not run. */
  readonly state: string
  readonly holds: readonly string[]
  readonly haproxy: string
  readonly keepalived: string
  /** Ids of resources that differ from the inventory; undefined where that could not be found out. */
  readonly drift: readonly string[] | undefined
  readonly effectivePriority?: number
  /** Lowered by its operator (hactl drain): it holds no address while another server can. */
  readonly drained: boolean
  /** Its next boot drains it (again). */
  readonly drainsAtBoot: boolean
  /** Nothing is wrong with it: false makes the exit 5. Drift, a drain and a run that holds the lock are no illness. */
  readonly healthy: boolean
  /** What is wrong, then what one should know. */
  readonly problems: readonly string[]
}

export interface StatusReport {
  readonly servers: readonly ServerStatus[]
  readonly vips: readonly { readonly address: string; readonly holders: readonly string[] }[]
  /** Servers of the cluster that were not looked at: left out by --limit, or out of reach. Any of them may hold an address. */
  readonly unseen: readonly string[]
  /** 0; 7 on split brain or no holder, else 4 where a server could not be reached, else 5 where one is not healthy. */
  readonly exit: number
  readonly problems: readonly string[]
}

/** What runs now, on every server that answers; servers that do not are part of the answer. */
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
    input.forks,
    ports,
    session => observeAndTell(session, request, ports.clock, () => {}, ports.signal),
    async ({ failures }, observed) => {
      const nodes = [...observed.values()]
      const drift = driftOf(() => planFor(loaded, playbook, observed, { adopt: false, reload: false }))
      const servers = [...targets.keys()].map(name => serverStatus(cluster, name, observed.get(name), failures, drift.byServer.get(name)))
      const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      const complete = nodes.length === cluster.servers.length
      // A server out of sight may be the holder.
      const holder = complete ? holderProblems(cluster, nodes) : severalHoldersProblems(cluster, nodes)
      const { errors } = clusterIssues(cluster)
      return {
        servers,
        unseen: cluster.servers.map(({ name }) => name).filter(name => !observed.has(name)),
        vips: addresses.map(address => ({ address, holders: holdersOf(nodes, address) })),
        exit: exitOf(failures, holder, servers, ports),
        // What cannot be compared because a server is out of sight is no news.
        problems: [...holder, ...formerMemberProblems(cluster, nodes), ...(complete ? drift.problems : []), ...errors.map(issueLine)],
      }
    },
  )
}

function exitOf(failures: readonly HactlError[], holder: readonly string[], servers: readonly ServerStatus[], ports: Ports): number {
  if (holder.length > 0) return 7
  if (failures.length > 0) return verdictOn(new HactlErrors(failures), ports).exit
  return servers.every(server => server.healthy) ? 0 : 5
}

// Drift is a warning here: what cannot be compared (an interface that is gone) must not hide the rest of the picture.
function driftOf(plan: () => ReturnType<typeof planFor>): { byServer: Map<string, string[]>; problems: string[] } {
  try {
    const result = plan()
    const byServer = new Map(result.plan.servers.map(server => [server.server, server.actions.map(action => action.id)]))
    for (const { server, file } of result.foreign) byServer.get(server)?.push(`foreign ${file.path}`)
    return { byServer, problems: [] }
  } catch (error) {
    return { byServer: new Map(), problems: [error instanceof Error ? error.message : String(error)] }
  }
}

function serverStatus(
  cluster: Cluster,
  name: string,
  node: ObservedNode | undefined,
  failures: readonly HactlError[],
  drift: readonly string[] | undefined,
): ServerStatus {
  if (node === undefined) {
    const failure = failures.find(error => error.server === name)
    return {
      name,
      reachable: false,
      state: 'unknown',
      holds: [],
      haproxy: 'unknown',
      keepalived: 'unknown',
      drift: undefined,
      drained: false,
      drainsAtBoot: false,
      healthy: false,
      problems: [
        failure === undefined
          ? 'the server could not be reached'
          : `${failure.message}${failure.fix === undefined ? '' : ` (${failure.fix})`}`,
      ],
    }
  }
  const states = node.instances.map(instance => instance.state)
  const worst = (['FAULT', 'INIT', 'UNKNOWN', 'MASTER', 'BACKUP'] as const).find(state => states.includes(state))
  const own = node.facts.addresses.map(entry => entry.address)
  const first = node.instances[0]
  const { haproxy, keepalived } = node.services
  const lock = lockNotice(node)
  const problems = [
    ...nodeProblems(cluster, node),
    ...dropinProblems(node),
    ...bootProblems(node),
    ...unsafeFolders(node).map(({ what }) => `${what}: keepalived runs no check of haproxy from there`),
    ...certificateProblems(node),
    ...node.residue.map(unit => `${unit} is left over from a drill`),
    ...(lock?.isDead === true ? [lock.text] : []),
  ]
  return {
    name,
    reachable: true,
    state: worst ?? 'unknown',
    holds: cluster.instances
      .flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      .filter(address => own.includes(address)),
    haproxy: haproxy.active !== 'active' ? haproxy.active : node.checkStatus === 0 ? 'healthy' : 'running, but it fails its check',
    keepalived: keepalived.active,
    drift,
    ...(first === undefined ? {} : { effectivePriority: first.effectivePriority }),
    drained: isDrained(node),
    drainsAtBoot: drainsAtBoot(node),
    healthy: problems.length === 0,
    problems: [
      ...problems,
      ...(drainsAtBoot(node) && !isDrained(node) ? [`its next boot will drain it: run hactl undrain ${name}`] : []),
      ...advertNotices(node),
      ...(lock?.isDead === false ? [lock.text] : []),
    ],
  }
}

function lockNotice({ lock }: ObservedNode): { readonly isDead: boolean; readonly text: string } | undefined {
  if (lock === undefined) return undefined
  const { owner, reason, ageSeconds } = lock
  if (!mayBeDead(ageSeconds)) return { isDead: false, text: `locked by ${owner} for ${reason}` }
  const text = `the lock of ${owner} for ${reason} is left over (last sign of life ${ageSeconds} s ago): that run ended half way; run hactl unlock`
  return { isDead: true, text }
}
