import type { Cluster } from '../domain/cluster-types.ts'
import { worstCaseOutage } from '../domain/vrrp/outage.ts'
import { notStarted } from '../engine/operations/account.ts'
import { settledCluster } from '../engine/operations/at-rest.ts'
import { carryOutAll } from '../engine/operations/drill.ts'
import { announcementOf, type DrillAnnouncement, type Errand, errandsFor } from '../engine/operations/errand.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { probeOrigin } from '../engine/operations/probe-target.ts'
import { type OnEvent, underLock } from '../engine/operations/run.ts'
import { HactlError, throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { DrillAccount } from '../report/record.ts'
import { type ConnectOptions, limitedServers } from './connect.ts'
import { type DrillChoice, loadDrills } from './drills.ts'
import { assertReportsWritable, type ReportWish } from './failover-files.ts'
import { reporterFor, type VerifyReport } from './failover-report.ts'
import { loadCluster } from './load.ts'
import { withServers } from './with-servers.ts'

export interface VerifyInput extends ConnectOptions, DrillChoice {
  readonly inventoryPath: string
  /** In ms; default: the worst case that check predicts, and a tenth more. */
  readonly maxOutageMs?: number
  /** URL to ask instead of the inventory's probe. */
  readonly probe?: string
  /** "controller" or names of servers: where the probes come from; empty: the controller. */
  readonly from: readonly string[]
  /** Files to write a report into. */
  readonly reports?: ReportWish
  readonly confirm: (what: DrillAnnouncement) => Promise<boolean>
}

/**
 * Disturbs a healthy cluster on purpose and judges what its users notice. A cluster that is not healthy is refused in the report (exit 5);
 * one that is split already has failed (exit 7). Throws E_USAGE, E_DECLINED, E_LOCKED, E_INTERRUPTED (after the undo), E_UNDO_FAILED and
 * what connecting and reading throw.
 */
export async function verifyFailover(input: VerifyInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<VerifyReport> {
  await assertReportsWritable(input.reports, ports)
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  assertWholeCluster(cluster, limitedServers(loaded, input.limit))
  const errands = await errandsOf(input, cluster, packageRoot, ports)
  const reporter = reporterFor(input.reports, cluster, errands, ports, onEvent)
  return withServers(loaded, input, { command: 'verify-failover', ports, onEvent }, async run => {
    throwAll(preflightErrors(cluster, run.nodes, { minded: 'locks' }))
    const rest = await settledCluster(run, run.nodes)
    if (rest.refusals.length > 0) return reporter.conclude(errands.map(errand => notStarted(run, errand, rest)))
    await assertConfirmed(input, await announcementOf(run, errands, rest.nodes))
    return underLock(run, async locked => {
      const accounts: DrillAccount[] = []
      try {
        await carryOutAll(locked, errands, account => accounts.push(account))
      } catch (error) {
        await reporter.breakOff(accounts, error)
        throw error
      }
      return reporter.conclude(accounts)
    })
  })
}

/** Throws E_USAGE for a server, a drill or a probe that the cluster does not have, E_PLAYBOOK_INVALID for a file that declares no drill. */
async function errandsOf(input: VerifyInput, cluster: Cluster, packageRoot: string, ports: Ports): Promise<readonly Errand[]> {
  const origins = input.from.length === 0 ? ['controller'] : [...new Set(input.from.map(from => probeOrigin(cluster, from)))]
  const events = worstCaseOutage(cluster).map(bound => bound.event)
  const drills = await loadDrills(input, events, packageRoot, ports)
  const { maxOutageMs, probe, reports } = input
  return errandsFor(cluster, drills, { origins, isReported: reports !== undefined, maxOutageMs, probe })
}

function assertWholeCluster(cluster: Cluster, servers: readonly string[]): void {
  if (servers.length === cluster.servers.length) return
  throw new HactlError({
    code: 'E_USAGE',
    what: 'a drill needs to see every server of the cluster',
    why: ['otherwise hactl cannot see that two of them hold an address'],
    fix: 'run it without --limit',
  })
}

async function assertConfirmed({ confirm }: VerifyInput, what: DrillAnnouncement): Promise<void> {
  if (await confirm(what)) return
  throw new HactlError({
    code: 'E_DECLINED',
    what: 'the run was not confirmed; nothing was disturbed',
    fix: 'add --yes to run the drills without a question',
  })
}
