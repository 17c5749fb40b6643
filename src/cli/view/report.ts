import type { VerifyReport } from '../../app/verify-failover.ts'
import { renderJson } from './ndjson.ts'
import { formatMs } from './style.ts'
import { summary, verifyObject } from './verify.ts'

/** The drills as a document; which kind, the file's ending says (.html, .json, .xml for JUnit, else Markdown). */
export function renderReport(report: VerifyReport, path: string): string {
  if (path.endsWith('.json')) return `${renderJson(verifyObject(report), 2)}\n`
  if (path.endsWith('.xml')) return renderJunit(report)
  return path.endsWith('.html') ? renderHtml(report) : renderMarkdown(report)
}

const escape = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

const HEAD = ['drill', 'address', 'verdict', 'from', 'to', 'outage', 'probes lost', 'back on', 'restored']

function rows({ drills }: VerifyReport): string[][] {
  return drills.map(d => [
    d.drill,
    d.vip,
    d.verdict,
    d.from ?? '-',
    d.to ?? '-',
    d.outageMs === undefined ? '-' : formatMs(d.outageMs),
    `${d.failedProbes} of ${d.probes}`,
    d.failback ?? '-',
    d.restored ? 'yes' : 'NO',
  ])
}

function bound({ maxOutageMs }: VerifyReport): string {
  return maxOutageMs === undefined ? '' : `Longest outage allowed: ${formatMs(maxOutageMs)}.`
}

function remarks({ drills, problems }: VerifyReport): string[] {
  return [...drills.flatMap(d => d.reasons.map(reason => `${d.drill} ${d.vip}: ${reason}`)), ...problems]
}

function renderMarkdown(report: VerifyReport): string {
  const row = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const lines = ['# Failover drills', '', bound(report), '', row(HEAD), row(HEAD.map(() => '---')), ...rows(report).map(row)]
  return [...lines, '', ...remarks(report).map(text => `- ${text}`), ''].join('\n')
}

function renderHtml(report: VerifyReport): string {
  const cells = (tag: string, row: readonly string[]) => `<tr>${row.map(cell => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Failover drills</title>
<style>body{font:16px/1.5 sans-serif;margin:2rem}table{border-collapse:collapse}th,td{border:1px solid #999;padding:.3rem .6rem;text-align:left}</style>
<h1>Failover drills</h1>
<p>${escape(bound(report))}</p>
<table>
${[cells('th', HEAD), ...rows(report).map(row => cells('td', row))].join('\n')}
</table>
<ul>
${remarks(report)
  .map(text => `<li>${escape(text)}</li>`)
  .join('\n')}
</ul>
</html>
`
}

/** JUnit's shape as CI servers read it: one case per drill and address. */
function renderJunit({ drills }: VerifyReport): string {
  const cases = drills.map(d => {
    const seconds = ((d.outageMs ?? 0) / 1000).toFixed(3)
    const text = escape([summary(d), ...d.reasons].join('\n'))
    const open = `  <testcase classname="verify-failover" name="${escape(`${d.drill} ${d.vip}`)}" time="${seconds}">`
    if (d.verdict === 'passed') return `${open}<system-out>${text}</system-out></testcase>`
    return `${open}<${d.verdict === 'failed' ? 'failure' : 'skipped'} message="${escape(summary(d))}">${text}</${d.verdict === 'failed' ? 'failure' : 'skipped'}></testcase>`
  })
  const tally = (verdict: string) => drills.filter(d => d.verdict === verdict).length
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="hactl verify-failover" tests="${drills.length}" failures="${tally('failed')}" skipped="${tally('refused')}">
${cases.join('\n')}
</testsuite>
`
}
