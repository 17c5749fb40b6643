import type { DrillAnnouncement, VerifyReport } from '../../app/verify-failover.ts'
import type { DrillResult } from '../app-contract.ts'
import { snakeKeys } from './ndjson.ts'
import { count, formatMs, printable, type Style } from './style.ts'

/** What is about to be disturbed, and who will notice. */
export function renderAnnouncement(what: DrillAnnouncement, style: Style): string {
  const lines = [style.bold('This disturbs a running service:')]
  for (const { drill, server, title } of what.drills) lines.push(`  ${drill} on ${server}: ${printable(title)}`)
  for (const { address, holder, connections } of what.vips) {
    const open = connections === undefined ? 'an unknown number of connections' : count(connections, 'open connection')
    lines.push(`  ${address} is held by ${holder}, with ${open}`)
  }
  if (what.worstMs !== undefined) lines.push(`  new connections may fail for up to ${formatMs(what.worstMs)} in each drill`)
  return `${lines.join('\n')}\n`
}

/** A verdict per drill and address. */
export function renderVerify(report: VerifyReport, style: Style): string {
  const lines = report.drills.flatMap(result => {
    const paint = result.verdict === 'passed' ? style.green : result.verdict === 'failed' ? style.red : style.yellow
    const head = `${paint(result.verdict.toUpperCase().padEnd(7))}  ${result.drill}  ${result.vip}  ${summary(result)}`
    return [head, ...[...result.reasons, ...result.notes].map(text => `         ${printable(text)}`)]
  })
  const passed = report.drills.filter(result => result.verdict === 'passed').length
  const bound = report.maxOutageMs === undefined ? '' : ` (longest outage allowed: ${formatMs(report.maxOutageMs)})`
  lines.push('', style.bold(`${passed} of ${count(report.drills.length, 'drill')} passed${bound}`))
  for (const problem of report.problems) lines.push(style.red(printable(problem)))
  return `${lines.join('\n')}\n`
}

/** "srv-1 -> srv-2 in 310 ms, 12 of 640 probes lost; back on srv-1 in 0 ms". */
export function summary(result: DrillResult): string {
  if (result.verdict === 'refused') return 'not run'
  const move = `${result.from ?? 'nobody'} -> ${result.to ?? 'nobody'}`
  const outage = result.outageMs === undefined ? 'nobody took over' : `outage ${formatMs(result.outageMs)}`
  const lost = `${result.failedProbes} of ${count(result.probes, 'probe')} lost`
  const wrong =
    result.predicted !== undefined && result.to !== undefined && result.predicted !== result.to ? `; expected ${result.predicted}` : ''
  const back = result.failback === undefined ? '' : `; back on ${result.failback}, outage ${formatMs(result.failbackOutageMs ?? 0)}`
  return `${move}, ${outage}, ${lost}${wrong}${back}${result.restored ? '' : '; NOT RESTORED'}`
}

/** As the last line of --json has it. */
export function verifyObject(report: VerifyReport): Record<string, unknown> {
  return {
    drills: report.drills.map(snakeKeys),
    max_outage_ms: report.maxOutageMs,
    ...(report.problems.length === 0 ? {} : { problems: report.problems }),
  }
}
