import type { StatusReport } from '../../app/status.ts'
import { printable, table, type Style } from './style.ts'

/** A line per server, a line per virtual address, then what is wrong. */
export function renderStatus(report: StatusReport, style: Style): string {
  const rows = report.servers.map(server => [
    server.name,
    server.reachable
      ? `${server.state}${server.drained ? ', drained' : ''}${server.drained && server.drainsAtBoot ? ' at every boot' : ''}`
      : 'unreachable',
    server.effectivePriority === undefined ? '-' : String(server.effectivePriority),
    server.holds.join(' ') || '-',
    server.haproxy,
    server.keepalived,
    server.drift === undefined ? '-' : server.drift.length === 0 ? 'none' : server.drift.join(' '),
  ])
  const [head = '', ...body] = table(
    [['server', 'state', 'priority', 'holds', 'haproxy', 'keepalived', 'drift'], ...rows].map(row => row.map(printable)),
  )
  const lines = [style.bold(head)]
  for (const [i, line] of body.entries()) {
    const server = report.servers[i]
    const isFine = server !== undefined && server.reachable && server.problems.length === 0
    lines.push(isFine ? line : style.red(line))
  }
  lines.push('')
  for (const { address, holders } of report.vips) lines.push(renderVip(address, holders, report, style))
  const problems = renderStatusProblems(report, style)
  if (problems.length > 0) lines.push('', ...problems)
  const notes = report.servers.flatMap(server => server.notes.map(note => printable(`${server.name}: ${note}`)))
  if (notes.length > 0) lines.push('', ...notes)
  return `${lines.join('\n')}\n`
}

function renderVip(address: string, holders: readonly string[], { servers, unseen }: StatusReport, style: Style): string {
  if (holders.length === 1) return `${address} is held by ${holders[0]}`
  if (holders.length === 0 && !servers.some(server => server.reachable)) return style.red(`the holder of ${address} is unknown`)
  if (holders.length === 0 && unseen.length > 0)
    return style.red(`${address} is held by none of the servers seen; not seen: ${unseen.join(', ')}`)
  if (holders.length === 0) return style.red(`${address} is held by NOBODY`)
  return style.red(`${address} is held by ${holders.join(' AND ')}: split brain`)
}

/** One line each, the server's name in front. */
export function renderStatusProblems(report: StatusReport, style: Style): string[] {
  const perServer = report.servers.flatMap(server => server.problems.map(problem => `${server.name}: ${problem}`))
  // The report's own list may repeat what the servers say.
  const all = [...new Set([...perServer, ...report.problems])]
  return all.map(problem => style.red(printable(problem)))
}
