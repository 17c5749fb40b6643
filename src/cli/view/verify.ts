import type { VerifyReport } from '../../app/failover-report.ts'
import type { DrillAnnouncement } from '../../engine/operations/errand.ts'
import type { DrillResult } from '../app-contract.ts'
import { count, endlessOutage, formatMs } from '../../words.ts'
import { snakeKeys } from './ndjson.ts'
import { printable, type Style, table } from './style.ts'

/** What will be disturbed, and who will notice. */
export function renderAnnouncement(what: DrillAnnouncement, style: Style): string {
  const lines = [style.bold('This disturbs a running service:')]
  for (const { drill, server, title, expects } of what.drills) {
    lines.push(`  ${drill} on ${server}: ${printable(title)}`, style.dim(`    expected: ${printable(expects)}`))
  }
  for (const { address, holder, connections } of what.vips) {
    const open = connections === undefined ? 'an unknown number of connections' : count(connections, 'open connection')
    lines.push(`  ${address} is held by ${holder}, with ${open}`)
  }
  if (what.ends !== undefined) lines.push(`  clients' open connections in ${what.ends.drills.map(printable).join(', ')}: ${what.ends.fate}`)
  if (what.worstMs !== undefined) lines.push(`  new connections may fail for up to ${formatMs(what.worstMs)} in each drill`)
  return `${lines.join('\n')}\n`
}

/** A verdict per drill and address. Several are one table (lost: probes, cut: long-lived connections), with the reasons beneath it. */
export function renderVerify(report: VerifyReport, style: Style): string {
  const { drills } = report
  const lines = [...(drills.length > 1 ? drillTable(drills, style) : drills.flatMap(result => drillLines(result, style)))]
  const passed = report.drills.filter(result => result.verdict === 'passed').length
  const [vip, ...others] = new Set(drills.map(result => result.vip))
  const where = drills.length > 1 && vip !== undefined && others.length === 0 ? ` on ${vip}` : ''
  const bound = report.maxOutageMs === undefined ? '' : ` (longest outage allowed: ${formatMs(report.maxOutageMs)})`
  lines.push('', style.bold(`${passed} of ${count(report.drills.length, 'drill')} passed${where}${bound}`))
  for (const problem of report.problems) lines.push(style.red(printable(problem)))
  return `${lines.join('\n')}\n`
}

function paintFor(result: DrillResult, style: Style): (text: string) => string {
  return result.verdict === 'passed' ? style.green : result.verdict === 'failed' ? style.red : style.yellow
}

function remarks(result: DrillResult): readonly string[] {
  const { connections, connectionsCut, connectionsPromised: promised } = result
  const kept =
    connections === undefined || connectionsCut === undefined
      ? []
      : [
          `${connectionsCut} of ${count(connections, 'long-lived connection')} cut (${promised === true ? 'the cluster keeps them' : 'counted separately'})`,
        ]
  const places = (result.origins ?? []).length > 1 ? (result.origins ?? []) : []
  const origins = places.map(
    ({ from, failedProbes, probes, outageMs }) =>
      `from ${from}: ${failedProbes} of ${count(probes, 'probe')} lost, ${outageMs === undefined ? 'no answer at the end' : `outage ${formatMs(outageMs)}`}`,
  )
  return [...result.reasons, ...result.notes, ...origins, ...kept].map(printable)
}

function drillLines(result: DrillResult, style: Style): readonly string[] {
  const head = `${paintFor(result, style)(result.verdict.toUpperCase().padEnd(7))}  ${result.drill}  ${result.vip}  ${summary(result)}`
  return [head, ...remarks(result).map(text => `         ${text}`)]
}

const HEAD = ['', 'drill', 'moved', 'outage', 'lost', 'cut', 'way back', 'holder', 'restored']

function drillTable(results: readonly DrillResult[], style: Style): readonly string[] {
  const ms = (value: number | undefined) => (value === undefined ? '-' : formatMs(value))
  const addresses = new Set(results.map(result => result.vip))
  const rows = results.map(result => {
    const wasRun = isRun(result)
    return [
      result.verdict.toUpperCase(),
      result.drill,
      ...(addresses.size > 1 ? [result.vip] : []),
      !wasRun ? '-' : result.to === undefined ? 'no' : `${result.from ?? 'nobody'} -> ${result.to}`,
      ms(wasRun ? result.outageMs : undefined),
      wasRun ? `${result.failedProbes} of ${result.probes}` : '-',
      result.connections === undefined ? '-' : `${result.connectionsCut ?? 0} of ${result.connections}`,
      ms(wasRun ? result.failbackOutageMs : undefined),
      result.failback ?? '-',
      result.restored ? 'yes' : 'NO',
    ]
  })
  const [head = '', ...body] = table([addresses.size > 1 ? HEAD.toSpliced(2, 0, 'address') : HEAD, ...rows])
  const painted = body.map((line, index) => {
    const result = results[index]
    return result === undefined ? line : paintFor(result, style)(line.slice(0, 7)) + line.slice(7)
  })
  const told = results
    .filter(result => result.verdict !== 'passed')
    .flatMap(result => ['', `${result.drill} on ${result.vip}:`, ...remarks(result).map(text => `  ${text}`)])
  return [style.bold(head), ...painted, ...told]
}

/** Whether the drill was run: on a cluster that was split before it, it fails without being run. */
function isRun({ verdict, from }: DrillResult): boolean {
  return verdict !== 'refused' && from !== undefined
}

/** "srv-1 -> srv-2 in 310 ms, 12 of 640 probes lost; back on srv-1 in 0 ms". */
function summary(result: DrillResult): string {
  if (!isRun(result)) return 'not run'
  const move = `${result.from ?? 'nobody'} -> ${result.to ?? 'nobody'}`
  const outage = result.outageMs === undefined ? endlessOutage(result.to) : `outage ${formatMs(result.outageMs)}`
  const lost = `${result.failedProbes} of ${count(result.probes, 'probe')} lost`
  const wrong =
    result.predicted !== undefined && result.to !== undefined && result.predicted !== result.to ? `; expected ${result.predicted}` : ''
  const back = result.failback === undefined ? '' : `; back on ${result.failback}, outage ${formatMs(result.failbackOutageMs ?? 0)}`
  return `${move}, ${outage}, ${lost}${wrong}${back}${result.restored ? '' : '; NOT RESTORED'}`
}

/** The report as the last line of --json. */
export function verifyObject(report: VerifyReport): Record<string, unknown> {
  return {
    drills: report.drills.map(({ origins, ...result }) => ({
      ...snakeKeys(result),
      ...(origins === undefined ? {} : { origins: origins.map(snakeKeys) }),
    })),
    max_outage_ms: report.maxOutageMs,
    ...(report.problems.length === 0 ? {} : { problems: report.problems }),
  }
}
