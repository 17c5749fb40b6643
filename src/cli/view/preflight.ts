import type { PreflightRow } from '../../errors.ts'
import { printable, type Style, table } from './style.ts'

const WORDS: Readonly<Record<PreflightRow['verdict'], string>> = { passed: 'ok', warning: 'warning', failed: 'FAILED', unknown: '-' }
const GRAVITY: readonly PreflightRow['verdict'][] = ['passed', 'unknown', 'warning', 'failed']

/** A line per check, a column per server. Below are the doubts, each with its fix. Failures are reported as errors are. */
export function renderPreflight(rows: readonly PreflightRow[], style: Style, columns: number): string {
  const servers = [...new Set(rows.map(row => row.server))]
  const checks = [...new Set(rows.map(row => row.check))]
  const worst = (check: string, server: string) =>
    rows
      .filter(row => row.check === check && row.server === server)
      .map(row => row.verdict)
      .toSorted((a, b) => GRAVITY.indexOf(b) - GRAVITY.indexOf(a))[0]
  const cell = (check: string, server: string) => {
    const verdict = worst(check, server)
    return verdict === undefined ? '-' : WORDS[verdict]
  }
  const [head = '', ...body] = table([
    ['check', ...servers.map(printable)],
    ...checks.map(check => [check, ...servers.map(server => cell(check, server))]),
  ])
  const colour = (line: string) =>
    line.includes(WORDS.failed) ? style.red(line) : line.includes(WORDS.warning) ? style.yellow(line) : line
  const doubts = rows
    .filter(row => row.verdict === 'warning')
    .map(row => [`${row.server}:`, `${row.found}${row.fix === undefined ? '' : ` (${row.fix})`}`].map(printable))
  return `${[style.bold(head), ...body.map(colour), ...(doubts.length > 0 ? ['', ...table(doubts, '', columns).map(style.yellow)] : [])].join('\n')}\n`
}
