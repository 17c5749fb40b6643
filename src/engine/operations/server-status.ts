/** What status reports of each server. Pure. */
import { isHeld } from '../../domain/addresses.ts'
import type { Cluster } from '../../domain/cluster-types.ts'
import {
  advertNotices,
  bootProblems,
  certificateProblems,
  dropinProblems,
  loopbackNotices,
  nodeProblems,
  unsafeFolders,
} from '../../domain/health.ts'
import { type Mode, modeOf } from '../../domain/open-connections/mode.ts'
import { openConnectionsNotices, openConnectionsProblems } from '../../domain/open-connections/report.ts'
import { type Kept, keptOn, openConnectionsNotes, type StillOpen } from '../../domain/open-connections/still-open.ts'
import { drainsAtBoot, isDrained } from '../../domain/trackers.ts'
import { mayBeDead } from '../lock.ts'
import type { PlanResult } from '../plan.ts'
import type { HactlError } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'

interface OpenConnectionsStatus {
  readonly mode: Mode['kind']
  /** To addresses that have moved away, as the notes have it; undefined where the server does not say. */
  readonly open: readonly StillOpen[] | undefined
}

export interface ServerStatus {
  readonly name: string
  readonly reachable: boolean
  /** keepalived's own word for the worst of its instances; "unknown" where it does not run. */
  readonly state: string
  readonly holds: readonly string[]
  readonly haproxy: string
  readonly keepalived: string
  /** Ids of resources that differ from the inventory; undefined where they could not be compared. */
  readonly drift: readonly string[] | undefined
  readonly effectivePriority?: number
  /** Its operator drained it: it holds no address while another server can. */
  readonly drained: boolean
  /** Its next boot drains it, again or for the first time. */
  readonly drainsAtBoot: boolean
  /** False makes the exit 5. Drift, a drain and a run that holds the lock do not make a server unhealthy. */
  readonly healthy: boolean
  /** First what is wrong, then what the operator should know. */
  readonly problems: readonly string[]
  /** Whether a planned move of its addresses keeps open connections, and which are still open here; undefined where it is not known. */
  readonly openConnections: OpenConnectionsStatus | undefined
  /** How it is, and may well be. --quiet leaves it out. */
  readonly notes: readonly string[]
}

/** What differs from the inventory, by server. What cannot be compared (an interface is gone) is a problem, and does not hide the rest. */
export function driftOf(plan: () => PlanResult): {
  readonly byServer: ReadonlyMap<string, readonly string[]>
  readonly problems: readonly string[]
} {
  try {
    const result = plan()
    const byServer = new Map(result.plan.servers.map(server => [server.server, server.actions.map(action => action.id)]))
    for (const { server, file } of result.foreign) byServer.get(server)?.push(`foreign ${file.path}`)
    return { byServer, problems: [] }
  } catch (error) {
    return { byServer: new Map(), problems: [error instanceof Error ? error.message : String(error)] }
  }
}

/** What is known of one server. */
interface Known {
  readonly cluster: Cluster
  readonly name: string
  /** What was seen of it; undefined where it could not be reached, for the reason among `failures`. */
  readonly node: ObservedNode | undefined
  readonly failures: readonly HactlError[]
  /** Ids of what a deploy would change; undefined where that is not known. */
  readonly drift: readonly string[] | undefined
  /** All servers that were seen. */
  readonly nodes: readonly ObservedNode[]
}

export function serverStatus({ cluster, name, node, failures, drift, nodes }: Known): ServerStatus {
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
      openConnections: undefined,
      notes: [],
    }
  }
  const states = node.instances.map(instance => instance.state)
  const worst = (['FAULT', 'INIT', 'UNKNOWN', 'MASTER', 'BACKUP'] as const).find(state => states.includes(state))
  const first = node.instances[0]
  const { haproxy, keepalived } = node.services
  const lock = lockNotice(node)
  const problems = [
    ...nodeProblems(cluster, node),
    ...openConnectionsProblems(cluster, node),
    ...dropinProblems(node),
    ...bootProblems(node),
    ...unsafeFolders(node).map(({ what, why, fix }) => `${what}: ${why} (${fix} on ${name})`),
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
      .filter(address => isHeld(node.facts.addresses, address)),
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
      ...openConnectionsNotices(cluster, node, nodes),
      ...loopbackNotices(cluster, node),
      ...advertNotices(node),
      ...(lock?.isDead === false ? [lock.text] : []),
    ],
    openConnections: { mode: modeOf(cluster, node).kind, open: openOn(keptOn(cluster, node, nodes)) },
    notes: openConnectionsNotes(cluster, node, nodes),
  }
}

function openOn(kept: Kept): readonly StillOpen[] | undefined {
  switch (kept.kind) {
    case 'counted':
      return kept.open
    case 'lost':
      return []
    case 'silent':
      return undefined
  }
}

function lockNotice({ lock }: ObservedNode): { readonly isDead: boolean; readonly text: string } | undefined {
  if (lock === undefined) return undefined
  const { owner, reason, ageSeconds } = lock
  if (!mayBeDead(ageSeconds)) return { isDead: false, text: `locked by ${owner} for ${reason}` }
  const text = `the lock of ${owner} for ${reason} is left over (last sign of life ${ageSeconds} s ago): that run ended half way; run hactl unlock`
  return { isDead: true, text }
}
