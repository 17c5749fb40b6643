/** The reports of a run of verify-failover: the kind that a file's name asks for, and the text of each kind. */
import { renderHtml } from './html.ts'
import { renderJsonReport } from './json.ts'
import { renderJunit } from './junit.ts'
import { renderMarkdown } from './markdown.ts'
import type { FailoverRun } from './record.ts'

/** Each is the extension of a file's name. */
export const REPORT_FORMATS = ['html', 'json', 'xml', 'md'] as const

export type ReportFormat = (typeof REPORT_FORMATS)[number]

/** The kind that the file's name asks for; undefined for any other extension. */
export function reportFormatOf(path: string): ReportFormat | undefined {
  return REPORT_FORMATS.find(format => path.endsWith(`.${format}`))
}

export function renderReport(run: FailoverRun, format: ReportFormat): string {
  switch (format) {
    case 'html':
      return renderHtml(run)
    case 'json':
      return renderJsonReport(run)
    case 'xml':
      return renderJunit(run)
    case 'md':
      return renderMarkdown(run)
  }
}
