import type { Cluster } from '../domain/cluster-types.ts'
import { expectationFor, expectationText } from '../domain/failover/drill.ts'
import type { Verdict } from '../domain/failover/verdict.ts'
import { worstCaseOutage } from '../domain/vrrp/outage.ts'
import type { EngineEvent } from '../engine/events.ts'
import type { Links } from '../engine/links.ts'
import { withLock } from '../engine/lock.ts'
import { sh } from '../shell/sh.ts'
import { asHactlError, HactlError, throwAll } from '../errors.ts'
import { verdictOn } from '../exit-status.ts'
import type { Ports, Session } from '../ports.ts'
import type { DrillAccount } from '../report/record.ts'
import type { ObservedNode } from '../state.ts'
import { addressOf, carryOut, type Errand, notBegun, placeOf } from '../engine/operations/drill.ts'
import { settledCluster } from '../engine/operations/at-rest.ts'
import { type ConnectOptions, limitedServers } from './connect.ts'
import { type DrillChoice, loadDrills } from './drills.ts'
import { assertReportsWritable, beginRun, type ReportWish, type WrittenReport, writeReports } from './failover-report.ts'
import { loadCluster } from './load.ts'
import { lockClaim } from './lock-claim.ts'
import { holdersOf } from '../engine/operations/look.ts'
import { preflightErrors } from '../engine/operations/preflight.ts'
import { probeOrigin, probeTargetFor } from '../engine/operations/probe-target.ts'
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

export interface DrillAnnouncement {
  readonly drills: readonly AnnouncedDrill[]
  /** connections: open right now through this address; undefined where it could not be counted. */
  readonly vips: readonly { readonly address: string; readonly holder: string; readonly connections: number | undefined }[]
  /** The longest interruption this may cause, in ms; undefined where unknown. */
  readonly worstMs: number | undefined
}

export interface AnnouncedDrill {
  readonly drill: string
  readonly server: string
  readonly title: string
  /** What must be seen for it to pass, in one line. */
  readonly expects: string
}

export interface VerifyReport {
  readonly drills: readonly Omit<Verdict, 'findings'>[]
  /** The bound that the outages were judged by; the widest where they differ. */
  readonly maxOutageMs: number | undefined
  /** 0, 5 (refused), 7 (failed), 8 (not restored). */
  readonly exit: number
  readonly problems: readonly string[]
  /** What became of the files that `reports` asked for; without it, none were. */
  readonly reports?: readonly WrittenReport[]
}

type OnEvent = (event: EngineEvent) => void

/**
 * Disturbs a healthy cluster on purpose and judges what its users notice: preconditions, confirmation, lock, drills, verdicts.
 * A cluster that is not healthy is refused in the report (exit 5); one that is split already has failed (exit 7). Throws E_DECLINED, E_LOCKED, E_INTERRUPTED (after the undo),
 * E_UNDO_FAILED and what connecting and reading throw.
 */
export async function verifyFailover(input: VerifyInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<VerifyReport> {
  await assertReportsWritable(input.reports, ports)
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  assertWholeCluster(cluster, limitedServers(loaded, input.limit))
  const origins = input.from.length === 0 ? ['controller'] : [...new Set(input.from.map(from => probeOrigin(cluster, from)))]
  const bounds = worstCaseOutage(cluster)
  const drills = await loadDrills(
    input,
    bounds.map(bound => bound.event),
    packageRoot,
    ports,
  )
  const errands = drills.flatMap(drill => {
    const expect = expectationFor(drill, cluster.profile)
    const bound = bounds.find(known => known.event === expect.event)
    const worstMs = bound?.worstMs
    const maxOutageMs = input.maxOutageMs ?? (worstMs === undefined ? undefined : Math.ceil(worstMs * 1.1))
    return cluster.instances.map(instance => ({
      drill,
      expect,
      instance,
      target: probeTargetFor(cluster, instance, input.probe),
      maxOutageMs,
      // No bound: what check says of it is why nobody takes over.
      foretold: bound !== undefined && worstMs === undefined ? bound.how : undefined,
      origins,
      isReported: input.reports !== undefined,
    }))
  })
  const runOf = beginRun(cluster, ports)
  const conclude = async (accounts: readonly DrillAccount[]): Promise<VerifyReport> => {
    const report = reportOf(
      accounts.map(account => account.verdict),
      errands,
    )
    return { ...report, reports: await writeReports(input.reports, runOf({ ...report, drills: accounts }), ports) }
  }
  return withServers(loaded, input, { command: 'verify-failover', ports, onEvent }, async ({ links, nodes: seen }) => {
    const sessions = links.servers.map(server => links.current(server))
    throwAll(preflightErrors(cluster, seen, { minded: 'locks' }))
    const rest = await settledCluster(seen, cluster, links, ports, onEvent)
    const { nodes } = rest
    if (rest.refusals.length > 0) return conclude(errands.map(errand => notBegun(errand, rest, onEvent)))
    if (!(await input.confirm(await announcementOf(errands, links, nodes, ports)))) {
      throw new HactlError({
        code: 'E_DECLINED',
        what: 'the run was not confirmed; nothing was disturbed',
        fix: 'add --yes to run the drills without a question',
      })
    }
    const claim = lockClaim('verify-failover', ports)
    return withLock(
      sessions,
      claim,
      ports.clock,
      async () => {
        onEvent({ kind: 'lock-taken', id: claim.id, servers: sessions.map(session => session.server) })
        const accounts: DrillAccount[] = []
        try {
          for (const errand of errands) {
            const account = await carryOut(errand, cluster, claim.id, links, ports, onEvent)
            accounts.push(account)
            if (account.fault !== undefined) throw account.fault.thrown
            // What is not as it was must be seen to before anything else is disturbed; nor is a cluster that does not come to rest.
            const { verdict } = account
            if (!verdict.restored || account.isUnhealthy) break
          }
        } catch (error) {
          const fault = asHactlError(error)
          const { message, why, fix } = fault
          const { exit } = verdictOn(fault, ports)
          const problems = [message, ...why, ...(fix === undefined ? [] : [fix])]
          const run = runOf({ drills: accounts, maxOutageMs: widest(errands), exit, problems })
          for (const { path, problem } of await writeReports(input.reports, run, ports)) {
            if (problem === undefined) onEvent({ kind: 'note', text: `report written to ${path}` })
            else onEvent({ kind: 'warning', text: `${path} could not be written: ${problem}` })
          }
          throw error
        }
        return conclude(accounts)
      },
      session => links.current(session.server),
    )
  })
}

function reportOf(verdicts: readonly Verdict[], errands: readonly Errand[]): VerifyReport {
  const codes = new Set(verdicts.flatMap(verdict => verdict.findings.map(finding => finding.code)))
  const exit = codes.has('E_UNDO_FAILED')
    ? 8
    : verdicts.some(verdict => verdict.verdict === 'failed')
      ? 7
      : verdicts.some(verdict => verdict.verdict === 'refused')
        ? 5
        : 0
  const left = errands.length - verdicts.length
  return {
    drills: verdicts.map(reported),
    maxOutageMs: widest(errands),
    exit,
    problems: left > 0 ? [`${left} ${left === 1 ? 'drill' : 'drills'} skipped: first restore what the last one left changed`] : [],
  }
}

function widest(errands: readonly Errand[]): number | undefined {
  const bounds = errands.flatMap(errand => errand.maxOutageMs ?? [])
  return bounds.length === 0 ? undefined : Math.max(...bounds)
}

/** The findings' codes have become the exit status; their texts are the reasons. */
function reported({ findings, ...verdict }: Verdict): VerifyReport['drills'][number] {
  return { ...verdict, reasons: findings.map(finding => finding.text) }
}

async function announcementOf(
  errands: readonly Errand[],
  links: Links,
  nodes: readonly ObservedNode[],
  ports: Ports,
): Promise<DrillAnnouncement> {
  const holderOf = (address: string) => holdersOf(nodes, address)[0] ?? ''
  const addresses = [...new Set(errands.map(addressOf))]
  const bounds = errands.map(errand => errand.maxOutageMs)
  return {
    drills: errands.map(errand => {
      const from = holderOf(addressOf(errand))
      const { server, predicted } = placeOf(errand, nodes, from)
      const expects = expectationText(errand.expect, errand.maxOutageMs, predicted, from)
      return { drill: errand.drill.name, server: server ?? from, title: errand.drill.title, expects }
    }),
    vips: await Promise.all(
      addresses.map(async address => {
        const holder = holderOf(address)
        const isKnown = links.servers.includes(holder)
        return { address, holder, connections: isKnown ? await connectionsOn(links.current(holder), address, ports.signal) : undefined }
      }),
    ),
    worstMs: bounds.every(ms => ms !== undefined) ? Math.max(...bounds) : undefined,
  }
}

/** TCP connections that stand through the address right now; undefined where the server cannot count them. */
export async function connectionsOn(session: Session, address: string, signal: AbortSignal): Promise<number | undefined> {
  const result = await session.run(sh`ss -Htn state established src ${address} | wc -l`, {
    effect: 'none',
    label: 'count the open connections',
    deadlineMs: 10_000,
    signal,
  })
  const count = Number(result.stdout.trim())
  return result.code === 0 && Number.isInteger(count) ? count : undefined
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
