/** The files that --report asks for: hactl sees that it can write them before it disturbs anything, and writes them at the end. */
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { FailoverRun } from '../report/record.ts'
import { REPORT_FORMATS, renderReport, reportFormatOf } from '../report/report.ts'

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

/** Throws E_USAGE for a file whose name is that of no kind of report, that is named twice, or that cannot be written. */
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

/** Writes every report that was asked for; readable for all, as it holds no secret. A file that cannot be written is a `problem`, not an error. */
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
