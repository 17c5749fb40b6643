import type { CheckReport } from '../../app/check.ts'
import { count, formatMs } from '../../words.ts'
import { renderIssues } from './issues.ts'
import { printable, table, type Style } from './style.ts'

/** Which server becomes master for every set of failed servers, how long it takes, and the warnings. */
export function renderCheck(report: CheckReport, file: string, style: Style, columns: number): string {
  const lines = [style.bold(`${report.cluster}: ${count(report.servers.length, 'server')}, profile ${report.profile}`)]
  const instances = [...new Set(report.table.flatMap(row => Object.keys(row.master)))]
  if (report.table.length > 0) {
    const rows = report.table.map(row => [
      row.failed.length === 0 ? 'none' : row.failed.join(', '),
      ...instances.map(instance => row.master[instance] ?? 'NOBODY'),
      printable(row.note ?? ''),
    ])
    lines.push('', ...emphasizeHead(table([['failed', ...instances.map(name => `master of ${name}`), ''], ...rows], '  ', columns), style))
  }
  if (report.outages.length > 0) {
    const rows = report.outages.map(outage => [
      outage.event,
      bound(outage.expectedMs),
      bound(outage.worstMs),
      outage.openConnections,
      printable(outage.how),
    ])
    lines.push('', ...emphasizeHead(table([['event', 'expected', 'worst', 'open connections', 'how'], ...rows], '  ', columns), style))
  }
  const problems = [...renderIssues('error', report.errors, file, style), ...renderIssues('warning', report.warnings, file, style)]
  if (problems.length > 0) lines.push('', ...problems)
  return `${lines.join('\n')}\n`
}

/** undefined: there is no bound, because no other server ever takes over. */
const bound = (ms: number | undefined) => (ms === undefined ? 'forever' : formatMs(ms))

function emphasizeHead([head = '', ...rest]: string[], style: Style): string[] {
  return [style.bold(head), ...rest]
}
