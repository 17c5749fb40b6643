import { randomBytes } from 'node:crypto'
import type { Cluster } from '../domain/cluster-types.ts'
import { disturbanceFor, drillLimits, DRILL_UNITS, goesHome, predictTaker } from '../domain/failover/drill.ts'
import { type DrillCase, judgeDrill, refusedVerdict, type Verdict } from '../domain/failover/judge.ts'
import { baselineProblems, failbackIsSettled, takeoverIsSettled } from '../domain/failover/settled.ts'
import { TRACKER_FILES } from '../domain/trackers.ts'
import { worstCaseOutage } from '../domain/vrrp/outage.ts'
import type { DrillAccount } from '../domain/failover/report/record.ts'
import { type DrillRun, runDrill } from '../engine/drill.ts'
import type { EngineEvent } from '../engine/events.ts'
import { createLinks, type Links } from '../engine/links.ts'
import { withLock } from '../engine/lock.ts'
import { runProber } from '../engine/prober.ts'
import { runServerProber } from '../engine/server-prober.ts'
import { sh } from '../engine/ssh/sh.ts'
import { asHactlError, HactlError } from '../errors.ts'
import type { Ports, ProbeTarget, Session } from '../ports.ts'
import type { DrillFile, ObservedNode } from '../state.ts'
import { lookAt, settledCluster } from './cluster-at-rest.ts'
import { assertAllIn, type ConnectOptions, limitedServers, targetsOf, withConnections } from './connect.ts'
import { type DrillChoice, loadDrills } from './drills.ts'
import {
  askedOf,
  assertReportsWritable,
  beginRun,
  readJournals,
  refusedAccount,
  type ReportWish,
  type WrittenReport,
  writeReports,
} from './failover-report.ts'
import { settleLimitMs } from './gates.ts'
import { loadCluster } from './load.ts'
import { lockClaim } from './lock-claim.ts'
import { holdersOf, observeAndTell } from './observe-cluster.ts'
import { assertFit, preflightErrors } from './preflight.ts'
import { probeOrigin, probeTargetFor } from './probe-target.ts'

export interface VerifyInput extends ConnectOptions, DrillChoice {
  readonly inventoryPath: string
  /** In ms; default: the worst case that check predicts, and a tenth more. */
  readonly maxOutageMs?: number
  /** URL to ask instead of the inventory's probe. */
  readonly probe?: string
  /** "controller" or the name of a server: where the probes come from. */
  readonly from?: string
  /** Files to write a report into. */
  readonly reports?: ReportWish
  readonly confirm: (what: DrillAnnouncement) => Promise<boolean>
}

export interface DrillAnnouncement {
  readonly drills: readonly { readonly drill: string; readonly server: string; readonly title: string }[]
  /** connections: open right now through this address; undefined where it could not be counted. */
  readonly vips: readonly { readonly address: string; readonly holder: string; readonly connections: number | undefined }[]
  /** The longest interruption this may cause, in ms; undefined where unknown. */
  readonly worstMs: number | undefined
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

/** One drill on one virtual address, with the bound it is judged by. */
interface Errand {
  readonly drill: DrillFile
  readonly instance: Cluster['instances'][number]
  readonly target: ProbeTarget
  readonly maxOutageMs: number | undefined
  /** "controller" or the name of a server. */
  readonly probeFrom: string
  /** The servers' journals are read for a report only. */
  readonly isReported: boolean
}

/**
 * Disturbs a healthy cluster on purpose and judges what its users notice: preconditions, confirmation, lock, drills, verdicts.
 * A cluster that is not healthy is refused in the report (exit 5). Throws E_DECLINED, E_LOCKED, E_INTERRUPTED (after the undo),
 * E_UNDO_FAILED and what connecting and reading throw.
 */
export async function verifyFailover(input: VerifyInput, ports: Ports, onEvent: OnEvent, packageRoot: string): Promise<VerifyReport> {
  await assertReportsWritable(input.reports, ports)
  const loaded = await loadCluster(input.inventoryPath, ports)
  const { cluster } = loaded
  assertWholeCluster(cluster, limitedServers(loaded, input.limit))
  const probeFrom = probeOrigin(cluster, input.from)
  const bounds = worstCaseOutage(cluster)
  const drills = await loadDrills(
    input,
    bounds.map(bound => bound.event),
    packageRoot,
    ports,
  )
  const errands = drills.flatMap(drill => {
    const worstMs = bounds.find(bound => bound.event === drill.expect.event)?.worstMs
    const maxOutageMs = input.maxOutageMs ?? (worstMs === undefined ? undefined : Math.ceil(worstMs * 1.1))
    return cluster.instances.map(instance => ({
      drill,
      instance,
      target: probeTargetFor(cluster, instance, input.probe),
      maxOutageMs,
      probeFrom,
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
  return withConnections(
    await targetsOf(loaded, input, ports),
    input.forks,
    ports,
    session => observeAndTell(session, cluster, ports.clock, onEvent, ports.signal),
    async (connections, observed) => {
      assertAllIn(connections.failures)
      const sessions = [...connections.sessions.values()]
      assertFit(preflightErrors(cluster, [...observed.values()], { minded: 'locks' }))
      const links = createLinks(sessions, server => connections.reconnect(server))
      const { nodes, refusals } = await settledCluster([...observed.values()], cluster, links, ports, onEvent)
      if (refusals.length > 0) return conclude(errands.map(errand => refused(errand, refusals, onEvent)))
      if (!(await input.confirm(await announcementOf(errands, connections.sessions, nodes, ports)))) {
        throw new HactlError({
          code: 'E_DECLINED',
          what: 'not confirmed; nothing was disturbed',
          fix: '--yes runs the drills without asking',
        })
      }
      const claim = lockClaim('verify-failover', ports, randomBytes(6).toString('hex'))
      return withLock(
        sessions,
        claim,
        ports.clock,
        async () => {
          onEvent({ kind: 'lock-taken', id: claim.id, servers: sessions.map(session => session.server) })
          const accounts: DrillAccount[] = []
          try {
            for (const errand of errands) {
              const account = await carryOut(errand, cluster, links, ports, onEvent)
              accounts.push(account)
              // What is not as it was must be seen to before anything else is disturbed.
              if (!account.verdict.restored) break
            }
          } catch (error) {
            const { message, why, fix, exit } = asHactlError(error)
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
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}

/** Looks at the servers as they are now, runs the drill where they are well, and judges it. */
async function carryOut(errand: Errand, cluster: Cluster, links: Links, ports: Ports, onEvent: OnEvent): Promise<DrillAccount> {
  const { drill, instance, maxOutageMs } = errand
  const { nodes, refusals } = await settledCluster(await lookAt(cluster, links, ports), cluster, links, ports, onEvent)
  const vip = addressOf(errand)
  const [from] = holdersOf(nodes, vip)
  const disturbance = disturbanceFor(drill)
  if (refusals.length > 0 || from === undefined || disturbance === undefined) return refused(errand, refusals, onEvent)
  if (errand.probeFrom === from) {
    return refused(errand, [`${from} holds ${vip}: what it asks never leaves it; probe from another server`], onEvent)
  }
  const about: DrillCase = {
    drill: drill.name,
    vip,
    from,
    predicted: predictTaker(nodes, instance.name, from),
    expect: drill.expect,
    maxOutageMs,
    goesHome: goesHome(nodes, instance.name, from),
    servers: links.servers,
  }
  const beganMs = ports.clock.monotonic()
  try {
    const outcome = await runDrill({
      id: randomBytes(4).toString('hex'),
      drill: drill.name,
      disturbance,
      server: from,
      vip,
      vips: cluster.instances.flatMap(other => other.virtualAddresses.map(({ address }) => address)),
      units: DRILL_UNITS,
      trackers: Object.values(TRACKER_FILES),
      limits: drillLimits(maxOutageMs, settleLimitMs(cluster)),
      decide: {
        baselineProblems: (samples, nowMs) => baselineProblems(about, samples, nowMs),
        takeoverIsSettled: (samples, nowMs) => takeoverIsSettled(about, samples, nowMs),
        failbackIsSettled: (samples, nowMs) => failbackIsSettled(about, samples, nowMs),
      },
      links,
      sendProbes: watch => sendProbes(errand, links, ports, watch),
      clock: ports.clock,
      signal: ports.signal,
      onEvent,
    })
    const verdict = told(judgeDrill(about, outcome), onEvent)
    const journals = errand.isReported ? await readJournals(links, beganMs, ports) : []
    return { title: drill.title, verdict, about, asked: askedOf(errand.target), samples: outcome.samples, journals }
  } catch (error) {
    if (!(error instanceof HactlError) || error.code !== 'E_UNHEALTHY') throw error
    const verdict = told(refusedVerdict(about, error.why.length === 0 ? [error.message] : error.why), onEvent)
    return refusedAccount(verdict, drill.title, errand.target)
  }
}

function sendProbes(
  { target, probeFrom }: Errand,
  links: Links,
  { probe, clock }: Ports,
  watch: Parameters<DrillRun['sendProbes']>[0],
): Promise<unknown> {
  if (probeFrom === 'controller') return runProber({ target, probe, clock, ...watch })
  return runServerProber({ session: links.current(probeFrom), target, clock, ...watch })
}

function refused(errand: Errand, reasons: readonly string[], onEvent: OnEvent): DrillAccount {
  const verdict = told(refusedVerdict({ drill: errand.drill.name, vip: addressOf(errand) }, reasons), onEvent)
  return refusedAccount(verdict, errand.drill.title, errand.target)
}

function told(verdict: Verdict, onEvent: OnEvent): Verdict {
  const { drill, vip, to, outageMs, failedProbes, probes } = verdict
  const outcome = `${to === undefined ? 'nobody' : to} took over, ${failedProbes} of ${probes} probes lost`
  const seen = outageMs === undefined ? outcome : `${outcome}, ${outageMs} ms without an answer`
  onEvent({
    kind: 'drill-verdict',
    drill,
    vip,
    verdict: verdict.verdict,
    title: verdict.verdict === 'refused' ? (verdict.reasons[0] ?? 'refused') : seen,
  })
  return verdict
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
    problems: left > 0 ? [`${left} more were not begun: first see to what is not as it was`] : [],
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
  sessions: ReadonlyMap<string, Session>,
  nodes: readonly ObservedNode[],
  ports: Ports,
): Promise<DrillAnnouncement> {
  const holderOf = (address: string) => holdersOf(nodes, address)[0] ?? ''
  const addresses = [...new Set(errands.map(addressOf))]
  const bounds = errands.map(errand => errand.maxOutageMs)
  return {
    drills: errands.map(errand => ({ drill: errand.drill.name, server: holderOf(addressOf(errand)), title: errand.drill.title })),
    vips: await Promise.all(
      addresses.map(async address => {
        const holder = holderOf(address)
        const session = sessions.get(holder)
        return { address, holder, connections: session === undefined ? undefined : await connectionsOn(session, address, ports.signal) }
      }),
    ),
    worstMs: bounds.every(ms => ms !== undefined) ? Math.max(...bounds) : undefined,
  }
}

/** TCP connections that stand through the address right now; undefined where the server cannot count them. */
export async function connectionsOn(session: Session, address: string, signal: AbortSignal): Promise<number | undefined> {
  const result = await session.run(sh`ss -Htn state established src ${address} | wc -l`, {
    label: 'count the open connections',
    deadlineMs: 10_000,
    signal,
  })
  const count = Number(result.stdout.trim())
  return result.code === 0 && Number.isInteger(count) ? count : undefined
}

function addressOf(errand: Errand): string {
  return errand.instance.virtualAddresses[0]?.address ?? ''
}

function assertWholeCluster(cluster: Cluster, servers: readonly string[]): void {
  if (servers.length === cluster.servers.length) return
  throw new HactlError({
    code: 'E_USAGE',
    what: 'a drill needs to see every server of the cluster',
    why: ['only so can it tell that no two of them hold an address'],
    fix: 'leave --limit out',
  })
}
