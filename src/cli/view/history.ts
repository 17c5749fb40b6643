import type { HistoryReport } from '../../app/history.ts'
import { printable } from './style.ts'

/** "20261122T101500Z-1f3a2b" -> "2026-11-22 10:15:00 UTC"; anything else as it is. */
function timeOf(id: string): string {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(id)
  return match === null ? id : `${match[1]}-${match[2]}-${match[3]} ${match[4]}:${match[5]}:${match[6]} UTC`
}

/** One entry per run, newest first; what changed on each server, and the checksums afterwards, with --verbose. */
export function renderHistory(entries: HistoryReport['entries'], verbose: boolean): string {
  if (entries.length === 0) return 'hactl has not changed these servers yet'
  return entries
    .flatMap(entry => [
      `${entry.id}  ${timeOf(entry.id)}  ${entry.command} by ${printable(entry.owner)} (${printable(entry.source)}): ${entry.servers.map(server => server.name).join(', ')}`,
      ...(verbose
        ? entry.servers.flatMap(server => [
            `  ${server.name}: ${server.changed.join(' ')}`,
            ...server.files.map(({ path, sha256 }) => `    ${sha256.slice(0, 12)} ${path}`),
          ])
        : []),
    ])
    .join('\n')
}
