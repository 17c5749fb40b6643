/** The report for CI servers, in JUnit's XML, which Jenkins, GitLab and others read (Jenkins' junit-10.xsd). */
import { type DrillFacts, factsOf, type RunFacts } from './facts.ts'
import type { FailoverRun } from './record.ts'
import { escapeMarkup, formatClock, formatOffset } from './text.ts'

/**
 * One test suite for the run, one test case for each drill and address. The figures are properties of the suite, because
 * that schema gives a test case none; they begin with the number of the drill.
 */
export function renderJunit(run: FailoverRun): string {
  const facts = factsOf(run)
  const tally = (verdict: string) => facts.drills.filter(drill => drill.verdict === verdict).length
  const stopped = facts.problems.length > 0 ? 1 : 0
  const totals = `tests="${facts.drills.length + stopped}" failures="${tally('failed')}" errors="${stopped}"`
  const time = `time="${seconds(facts.drills.reduce((sum, drill) => sum + lengthOf(drill), 0))}"`
  const name = attribute(`hactl verify-failover ${facts.cluster}`)
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name=${name} ${totals} ${time}>
<testsuite name=${name} ${totals} skipped="${tally('refused')}" ${time} timestamp=${attribute(facts.beganAt.replace(/(?:\.\d+)?Z$/, ''))}>
<properties>
${properties(facts)
  .map(([key, value]) => `<property name=${attribute(key)} value=${attribute(value)}/>`)
  .join('\n')}
</properties>
${facts.drills.map(drill => testcase(drill, facts.cluster)).join('\n')}
${stopped === 0 ? '' : `${runCase(facts)}\n`}</testsuite>
</testsuites>
`
}

/** The problem that ended the run early belongs to no drill, and must not look green. */
function runCase({ cluster, problems }: RunFacts): string {
  const error = `<error type="run" message=${attribute(problems[0] ?? '')}>${escapeMarkup(problems.join('\n'))}</error>`
  return `<testcase classname=${attribute(`verify-failover.${cluster}`)} name="the whole run" time="0.000">\n${error}\n</testcase>`
}

function properties(facts: RunFacts): readonly (readonly [string, string])[] {
  return [
    ['hactl', facts.hactl],
    ['cluster', facts.cluster],
    ['servers', facts.servers.join(',')],
    ['exit', String(facts.exit)],
    ...facts.drills.flatMap((drill, index) =>
      figuresOf(drill).map(([key, value]) => [`${index + 1}.${drill.drill}.${key}`, value] as const),
    ),
  ]
}

function figuresOf(drill: DrillFacts): readonly (readonly [string, string])[] {
  const figures: readonly (readonly [string, string | number | boolean | undefined])[] = [
    ['vip', drill.vip],
    ['verdict', drill.verdict],
    ['from', drill.from],
    ['predicted', drill.predicted],
    ['to', drill.to],
    ['outage_ms', drill.outageMs],
    ['max_outage_ms', drill.maxOutageMs],
    ['failed_probes', drill.failedProbes],
    ['probes', drill.probes],
    ...(drill.origins ?? []).flatMap(({ from, probes, failedProbes, outageMs }) => [
      [`from.${from}.probes`, probes] as const,
      [`from.${from}.failed_probes`, failedProbes] as const,
      [`from.${from}.outage_ms`, outageMs] as const,
    ]),
    ['connections', drill.connections],
    ['connections_cut', drill.connectionsCut],
    ...Object.entries(drill.connectionsCutBy ?? {}).map(([by, cut]) => [`connections_cut_by.${by}`, cut] as const),
    ['connections_promised', drill.connectionsPromised],
    ['holders_max', drill.holdersMax],
    ['failback', drill.failback],
    ['failback_outage_ms', drill.failbackOutageMs],
    ['restored', drill.restored],
  ]
  return figures.flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)] as const]))
}

function testcase(drill: DrillFacts, cluster: string): string {
  const head = `<testcase classname=${attribute(`verify-failover.${cluster}`)} name=${attribute(`${drill.drill} ${drill.vip}`)} time="${seconds(lengthOf(drill))}">`
  return `${head}\n${outcome(drill)}<system-out>${escapeMarkup(story(drill))}</system-out>\n</testcase>`
}

function outcome(drill: DrillFacts): string {
  const message = attribute(drill.reasons[0] ?? drill.summary)
  const text = escapeMarkup([drill.summary, ...drill.reasons].join('\n'))
  switch (drill.verdict) {
    case 'passed':
      return ''
    case 'failed':
      return `<failure type="failover" message=${message}>${text}</failure>\n`
    case 'refused':
      return `<skipped message=${message}>${text}</skipped>\n`
  }
}

/** The drill as lines: what it was, its figures, its marks and interruptions, the journal. */
function story(drill: DrillFacts): string {
  return [
    drill.title,
    drill.summary,
    ...drill.reasons,
    ...drill.notes,
    ...figuresOf(drill).map(([key, value]) => `${key}=${value}`),
    ...drill.marks.map(({ mark, atMs, server }) => `${formatOffset(atMs)} ${mark} (${server})`),
    ...drill.interruptions.map(
      ({ fromMs, toMs, failedProbes, from }) =>
        `outage from ${formatOffset(fromMs)} to ${toMs === undefined ? 'the end' : formatOffset(toMs)}: ${failedProbes} probes from ${from} failed`,
    ),
    ...drill.errors.map(({ error, count }) => `${count} x ${error}`),
    ...drill.cuts.map(({ error, count }) => `${count} long-lived connections cut: ${error}`),
    ...drill.journalGaps,
    ...drill.journal.map(({ sinceMs, atMs, server, source, message }) => {
      const time = sinceMs === undefined ? `${formatClock(atMs)} UTC` : formatOffset(sinceMs)
      return `${time} ${server} ${source}: ${message}`
    }),
  ].join('\n')
}

function lengthOf({ axis }: DrillFacts): number {
  return axis === undefined ? 0 : axis.toMs - axis.fromMs
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}

function attribute(value: string): string {
  return `"${escapeMarkup(value)}"`
}
