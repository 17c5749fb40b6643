/** What a run of verify-failover ends with: its report, and the same in the files that --report asks for. */
import type { Cluster } from '../domain/cluster-types.ts'
import type { Verdict } from '../domain/failover/verdict.ts'
import type { Errand } from '../engine/operations/errand.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { asHactlError, type ErrorCode, linesOf } from '../errors.ts'
import { statusOfFindings, verdictOn } from '../exit-status.ts'
import type { Ports } from '../ports.ts'
import type { DrillAccount, FailoverRun } from '../report/record.ts'
import { type ReportWish, type WrittenReport, writeReports } from './failover-files.ts'

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

export interface Reporter {
  /** Writes the files and makes the report. */
  readonly conclude: (accounts: readonly DrillAccount[]) => Promise<VerifyReport>
  /** Writes the files of a run that ends in an error, and says so in events. */
  readonly breakOff: (accounts: readonly DrillAccount[], error: unknown) => Promise<void>
}

/** The reporter of a run that starts now. */
export function reporterFor(
  wish: ReportWish | undefined,
  cluster: Cluster,
  errands: readonly Errand[],
  ports: Ports,
  onEvent: OnEvent,
): Reporter {
  const endRun = beginRun(cluster, ports)
  return {
    async conclude(accounts) {
      const verdicts = accounts.map(account => account.verdict)
      const report = reportOf(verdicts, errands)
      return { ...report, reports: await writeReports(wish, endRun({ ...report, drills: accounts }), ports) }
    },
    async breakOff(accounts, error) {
      const fault = asHactlError(error)
      const { exit } = verdictOn(fault, ports)
      const run = endRun({ drills: accounts, maxOutageMs: widest(errands), exit, problems: linesOf(fault) })
      for (const { path, problem } of await writeReports(wish, run, ports)) {
        if (problem === undefined) onEvent({ kind: 'note', text: `report written to ${path}` })
        else onEvent({ kind: 'warning', text: `${path} could not be written: ${problem}` })
      }
    },
  }
}

/** Everything that a report says of the run besides its drills; the run starts when this is called. */
function beginRun(cluster: Cluster, { clock }: Pick<Ports, 'clock'>): (end: RunEnd) => Omit<FailoverRun, 'hactl'> {
  const beganMs = clock.now()
  return ({ drills, maxOutageMs, exit, problems }) => ({
    cluster: cluster.name,
    servers: cluster.servers.map(server => server.name),
    beganAt: new Date(beganMs).toISOString(),
    endedAt: new Date(clock.now()).toISOString(),
    maxOutageMs,
    exit,
    problems,
    drills,
  })
}

type RunEnd = Pick<FailoverRun, 'drills' | 'maxOutageMs' | 'exit' | 'problems'>

function reportOf(verdicts: readonly Verdict[], errands: readonly Errand[]): VerifyReport {
  const left = errands.length - verdicts.length
  return {
    drills: verdicts.map(reported),
    maxOutageMs: widest(errands),
    exit: statusOfFindings(verdicts.flatMap(codesOf)),
    problems: left > 0 ? [`${left} ${left === 1 ? 'drill' : 'drills'} skipped: first restore what the last one left changed`] : [],
  }
}

const CODE_OF: Readonly<Record<Verdict['verdict'], readonly ErrorCode[]>> = {
  passed: [],
  failed: ['E_FAILOVER_NONE'],
  refused: ['E_UNHEALTHY'],
}

/** A drill counts by its verdict, whatever the finding was, except where something was not restored. */
function codesOf({ verdict, findings }: Verdict): readonly ErrorCode[] {
  return findings.some(({ code }) => code === 'E_UNDO_FAILED') ? ['E_UNDO_FAILED'] : CODE_OF[verdict]
}

function widest(errands: readonly Errand[]): number | undefined {
  const bounds = errands.flatMap(errand => errand.maxOutageMs ?? [])
  return bounds.length === 0 ? undefined : Math.max(...bounds)
}

/** The findings' codes have become the exit status; their texts are the reasons. */
function reported({ findings, ...verdict }: Verdict): VerifyReport['drills'][number] {
  return { ...verdict, reasons: findings.map(finding => finding.text) }
}
