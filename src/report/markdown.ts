/** The report for a ticket: GitHub-flavoured Markdown, which can also be read as plain text. */
import { formatMs } from '../words.ts'
import { type DrillFacts, type ErrorGroup, factsOf, ORIGIN_HEAD, originRows, SUMMARY_HEAD, summaryRow } from './facts.ts'
import type { FailoverRun } from './record.ts'
import { formatClock, formatOffset } from './text.ts'

/** Characters of the small timeline. */
const COLUMNS = 60

export function renderMarkdown(run: FailoverRun): string {
  const facts = factsOf(run)
  const bound = facts.maxOutageMs === undefined ? 'any outage allowed' : `longest outage allowed: ${formatMs(facts.maxOutageMs)}`
  return `${[
    `# Failover drills of ${escapeMarkdown(facts.cluster)}`,
    `**${facts.outcome}** (${bound}; exit status ${facts.exit})`,
    `Servers ${escapeMarkdown(facts.servers.join(', '))}; ${facts.beganAt} to ${facts.endedAt}; hactl ${escapeMarkdown(facts.hactl)}`,
    ...bullets(facts.problems),
    table(SUMMARY_HEAD, facts.drills.map(summaryRow)),
    ...facts.drills.flatMap(drillParts),
  ].join('\n\n')}\n`
}

function drillParts(drill: DrillFacts): readonly string[] {
  return [
    `## ${escapeMarkdown(`${drill.drill} on ${drill.vip}`)}: ${drill.verdict}`,
    escapeLine(drill.title),
    escapeLine(drill.summary),
    ...bullets([...drill.reasons, ...drill.notes]),
    ...timeline(drill),
    ...tableSection('Where the probes came from', ORIGIN_HEAD, originRows(drill)),
    ...tableSection(
      'Interruptions',
      ['outage', 'from', 'to', 'probes lost', 'asked from'],
      drill.interruptions.map(({ fromMs, toMs, failedProbes, from }) => [
        toMs === undefined ? 'to the end' : `${Math.round(toMs - fromMs)} ms`,
        formatOffset(fromMs),
        toMs === undefined ? '-' : formatOffset(toMs),
        String(failedProbes),
        from,
      ]),
    ),
    ...errors('Errors of the failed probes', 'probes', drill.errors),
    ...errors('Errors of the long-lived connections that were cut', 'connections', drill.cuts),
    ...section('Journal', [
      ...bullets(drill.journalGaps),
      ...fenced(
        drill.journal.map(({ sinceMs, atMs, server, source, message }) => {
          const time = sinceMs === undefined ? `${formatClock(atMs)} UTC` : formatOffset(sinceMs)
          return `${time.padStart(12)}  ${server}  ${source}: ${message}`
        }),
      ),
    ]),
  ]
}

/** One line per server: # it holds the address, ? nothing is known, - neither; under them the probes: x where one failed. */
function timeline(drill: DrillFacts): readonly string[] {
  const { axis } = drill
  if (axis === undefined || axis.toMs <= axis.fromMs) return []
  const stepMs = (axis.toMs - axis.fromMs) / COLUMNS
  const draw = (letterAt: (fromMs: number, toMs: number) => string) =>
    Array.from({ length: COLUMNS }, (_, i) => letterAt(axis.fromMs + i * stepMs, axis.fromMs + (i + 1) * stepMs)).join('')
  const touches = (fromMs: number, toMs: number) => (span: { readonly fromMs: number; readonly toMs: number }) =>
    span.fromMs < toMs && span.toMs >= fromMs
  const rows = [
    ...drill.lanes.map(lane => ({
      name: lane.server,
      line: draw((fromMs, toMs) => (lane.holds.some(touches(fromMs, toMs)) ? '#' : lane.silences.some(touches(fromMs, toMs)) ? '?' : '-')),
    })),
    ...drill.probeLanes.map(lane => ({
      name: `probes of ${lane.from}`,
      line: draw((fromMs, toMs) => {
        const inside = lane.probes.filter(probe => probe.atMs >= fromMs && probe.atMs < toMs)
        return inside.some(probe => !probe.ok) ? 'x' : inside.length > 0 ? '.' : ' '
      }),
    })),
    ...drill.keptLanes.map(lane => ({
      name: `${lane.name} of ${lane.from}`,
      line: draw((fromMs, toMs) => {
        const isCut = lane.cuts.some(cut => cut.atMs >= fromMs && cut.atMs < toMs)
        return isCut ? 'x' : lane.spans.some(touches(fromMs, toMs)) ? '=' : ' '
      }),
    })),
    {
      name: 'disturbed, undone',
      line: draw((fromMs, toMs) => (drill.marks.some(m => LINES.includes(m.mark) && m.atMs >= fromMs && m.atMs < toMs) ? '^' : ' ')),
    },
  ]
  const width = Math.max(...rows.map(row => row.name.length))
  const legend = `${formatOffset(axis.fromMs)} to ${formatOffset(axis.toMs)}; # holds the address, ? nothing known, x a probe failed or a connection was cut`
  return fenced([...rows.map(({ name, line }) => `${name.padEnd(width)}  ${line}`.trimEnd()), legend])
}

const LINES = ['disturbed', 'undone']

function errors(title: string, what: string, groups: readonly ErrorGroup[]): readonly string[] {
  return tableSection(
    title,
    ['error', what, 'first', 'last', 'asked from'],
    groups.map(group => [group.error, String(group.count), formatOffset(group.firstMs), formatOffset(group.lastMs), group.from.join(', ')]),
  )
}

function tableSection(title: string, head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return section(title, rows.length === 0 ? [] : [table(head, rows)])
}

function section(title: string, parts: readonly string[]): readonly string[] {
  return parts.length === 0 ? [] : [`### ${title}`, ...parts]
}

function bullets(items: readonly string[]): readonly string[] {
  return items.length === 0 ? [] : [items.map(item => `- ${escapeLine(item)}`).join('\n')]
}

/** The fence is longer than any row of backquotes in the text, so that no line of the text can end it. */
function fenced(lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return []
  const longest = Math.max(0, ...lines.flatMap(line => [...line.matchAll(/`+/g)].map(match => match[0].length)))
  const fence = '`'.repeat(Math.max(3, longest + 1))
  return [[fence, ...lines, fence].join('\n')]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(escapeMarkdown).join(' | ')} |`
  return [line(head), `|${' --- |'.repeat(head.length)}`, ...rows.map(line)].join('\n')
}

/** Characters that Markdown, or HTML within it, would take for markup or for a link (CommonMark 2.4, backslash escapes). */
function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]<|~&#!]/g, character => `\\${character}`).replace(/https?:\/\//g, found => found.replace(':', '\\:'))
}

/** The same for text at the beginning of a line, where it could start a list, a quotation or an underline. */
function escapeLine(text: string): string {
  return escapeMarkdown(text).replace(/^(\d*)(>|[-+.)=](?=[\s=-]|$))/, '$1\\$2')
}
