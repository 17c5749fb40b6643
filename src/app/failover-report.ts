/** The files that --report asks for: found to be writable before anything is disturbed, written once all is over. */
import type { Cluster } from '../domain/cluster-types.ts'
import { SERVICE_JOURNAL } from '../domain/journal.ts'
import { readJournal } from '../engine/journal.ts'
import type { Links } from '../engine/links.ts'
import { HactlError } from '../errors.ts'
import type { Ports, ProbeTarget } from '../ports.ts'
import type { DrillAccount, FailoverRun } from '../report/record.ts'
import { REPORT_FORMATS, renderReport, reportFormatOf } from '../report/report.ts'
import type { ServerJournal } from '../state/drill.ts'
import { withoutPasswords } from '../engine/operations/without-passwords.ts'

export interface ReportWish {
  /** Absolute; the ending says which kind: .html, .json, .xml (JUnit), .md. */
  readonly paths: readonly string[]
  /** hactl's own version. */
  readonly version: string
}

/** What became of one of them. */
export interface WrittenReport {
  readonly path: string
  /** Why it could not be written; undefined where it was. */
  readonly problem: string | undefined
  /** What should stand in it, to be shown where it could not be written: Markdown in place of HTML. */
  readonly text: string
}

/** Throws E_USAGE for a file that has no kind of report, stands twice, or cannot be written. */
export async function assertReportsWritable(wish: ReportWish | undefined, { files }: Pick<Ports, 'files'>): Promise<void> {
  const paths = wish?.paths ?? []
  for (const [index, path] of paths.entries()) {
    const why =
      reportFormatOf(path) === undefined
        ? `its name ends in none of ${REPORT_FORMATS.map(format => `.${format}`).join(', ')}`
        : paths.indexOf(path) < index
          ? 'the file is named twice'
          : await files.whyNotWritable(path)
    if (why === undefined) continue
    throw new HactlError({
      code: 'E_USAGE',
      what: `${path} cannot be a report: ${why}`,
      why: ['no server was contacted'],
      fix: 'name a file in a folder that you may write to',
    })
  }
}

/** Everything that a report says of the run besides its drills, begun when this is called. */
export function beginRun(cluster: Cluster, { clock }: Pick<Ports, 'clock'>): (end: RunEnd) => Omit<FailoverRun, 'hactl'> {
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

export type RunEnd = Pick<FailoverRun, 'drills' | 'maxOutageMs' | 'exit' | 'problems'>

/** Writes every report that was asked for; readable for all, as it holds no secret. A file that cannot be written is told, not thrown. */
export async function writeReports(
  wish: ReportWish | undefined,
  run: Omit<FailoverRun, 'hactl'>,
  { files }: Pick<Ports, 'files'>,
): Promise<readonly WrittenReport[]> {
  if (wish === undefined) return []
  const whole = { ...run, hactl: wish.version }
  return Promise.all(
    wish.paths.map(async path => {
      const format = reportFormatOf(path) ?? 'md'
      const text = renderReport(whole, format)
      try {
        await files.write(path, text, 0o644)
        return { path, problem: undefined, text }
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error)
        return { path, problem, text: format === 'html' ? renderReport(whole, 'md') : text }
      }
    }),
  )
}

/** A drill that was not begun has nothing but its verdict. */
export function emptyAccount(verdict: DrillAccount['verdict'], title: string, target: ProbeTarget): DrillAccount {
  return { title, verdict, about: undefined, asked: askedOf(target), samples: [], journals: [] }
}

/** What was asked, without the query: it may hold what is nobody else's business. */
export function askedOf({ kind, address, port, path }: ProbeTarget): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${kind}://${host}:${port}${kind === 'tcp' ? '' : path.replace(/[?#].*$/, '')}`
}

/** What all servers logged since `beganMs` of the monotonic clock, without the passwords that the inventory knows. */
export async function readJournals(
  cluster: Pick<Cluster, 'instances'>,
  links: Links,
  beganMs: number,
  { clock, signal }: Pick<Ports, 'clock' | 'signal'>,
): Promise<readonly ServerJournal[]> {
  const windowMs = clock.monotonic() - beganMs
  const journals = await Promise.all(links.servers.map(server => readJournal(links.current(server), SERVICE_JOURNAL, windowMs, signal)))
  return journals.map(journal => ({
    ...journal,
    lines: journal.lines.map(line => ({ ...line, message: withoutPasswords(cluster, line.message) })),
  }))
}
