/** The report for people: one page that loads no other file and runs no code. */
import {
  cutByText,
  type DrillFacts,
  type ErrorGroup,
  factsOf,
  type JournalFact,
  keptText,
  ORIGIN_HEAD,
  originRows,
  type RunFacts,
  SUMMARY_HEAD,
  summaryRow,
} from './facts.ts'
import type { FailoverRun } from './record.ts'
import { STYLE } from './style.ts'
import { count, endlessOutage, formatMs } from '../words.ts'
import { escapeMarkup, formatClock, formatOffset } from './text.ts'
import type { Frame } from './svg-parts.ts'
import { renderTimeline } from './timeline-svg.ts'

/** A drawing of the whole drill is followed by a closer one where the part that matters takes less of it than this. */
const CLOSER_BELOW = 0.4
const AROUND_MS = 400

export function renderHtml(run: FailoverRun): string {
  const facts = factsOf(run)
  const title = `Failover drills of ${facts.cluster}: ${facts.outcome}`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeMarkup(title)}</title>
<style>${STYLE}</style>
</head>
<body>
${PATTERNS}
<header>
<h1>Failover drills of ${escapeMarkup(facts.cluster)}</h1>
<p class="lead">${escapeMarkup(facts.outcome)}${facts.exit === 0 ? '' : `; exit status ${facts.exit}`}</p>
${list('reasons', facts.problems)}
${factList([
  ['Servers', facts.servers.join(', ')],
  ['Started', instant(facts.beganAt)],
  ['Ended', instant(facts.endedAt)],
  ['Longest outage allowed', facts.maxOutageMs === undefined ? 'any' : formatMs(facts.maxOutageMs)],
  ['hactl', facts.hactl],
])}
</header>
<main>
${allDrills(facts)}
${facts.drills.map((drill, index) => drillSection(drill, index)).join('\n')}
</main>
</body>
</html>
`
}

const PATTERNS = `<svg width="0" height="0" style="position:absolute" aria-hidden="true" focusable="false"><defs>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern>
<pattern id="cross" width="8" height="8" patternUnits="userSpaceOnUse"><path class="cross" d="M0 0L8 8M8 0L0 8"/></pattern>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle class="dots" cx="3" cy="3" r="1"/></pattern>
</defs></svg>`

function instant(iso: string): string {
  return iso.replace('T', ' ').replace(/(?:\.\d+)?Z$/, ' UTC')
}

function list(className: string, items: readonly string[]): string {
  if (items.length === 0) return ''
  return `<ul class="${className}">${items.map(item => `<li>${escapeMarkup(item)}</li>`).join('')}</ul>`
}

function factList(pairs: readonly (readonly [string, string])[]): string {
  return `<dl class="facts">${pairs.map(([name, value]) => `<div><dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(value)}</dd></div>`).join('')}</dl>`
}

function badge(verdict: string): string {
  return `<span class="badge ${escapeMarkup(verdict)}">${escapeMarkup(verdict.toUpperCase())}</span>`
}

function drillSection(drill: DrillFacts, index: number): string {
  const hasJournal = drill.journal.length + drill.journalGaps.length > 0
  return `<section class="drill" id="drill-${index + 1}" aria-labelledby="drill-${index + 1}-name">
<h2 id="drill-${index + 1}-name">${escapeMarkup(drill.drill)} on ${escapeMarkup(drill.vip)} ${badge(drill.verdict)}</h2>
<p class="muted">${escapeMarkup(drill.title)}</p>
<p class="verdict">${escapeMarkup(drill.summary)}</p>
${list('reasons', drill.reasons)}
${list('notes', drill.notes)}
${drill.axis === undefined ? '' : figures(drill)}
<div class="columns${hasJournal ? ' two' : ''}">
<div>
${drill.axis === undefined ? '' : timelines(drill, drill.axis)}
${table('Where the probes came from', ORIGIN_HEAD, originRows(drill))}
${interruptions(drill)}
${errors('Errors of the failed probes', 'probes', drill.errors)}
${errors('Errors of the long-lived connections that were cut', 'connections', drill.cuts)}
</div>
${hasJournal ? `<div>${journal(drill)}</div>` : ''}
</div>
</section>`
}

function figures(drill: DrillFacts): string {
  const outage = (ms: number | undefined, otherwise: string) => (ms === undefined ? otherwise : `${ms} ms`)
  const bound = drill.maxOutageMs === undefined ? 'any allowed' : `${drill.maxOutageMs} ms allowed`
  return factList([
    ['Held before by', drill.from ?? 'nobody'],
    ['Taken over by', `${drill.to ?? 'nobody'} (predicted: ${drill.predicted ?? 'not known'})`],
    ['Outage', `${outage(drill.outageMs, endlessOutage(drill.to))} (${bound})`],
    ['New connections lost', `${drill.failedProbes} of ${count(drill.probes, 'probe')}`],
    ['Long-lived connections', longLivedText(drill)],
    ['Most holders at once', String(drill.holdersMax)],
    ['Held at the end by', drill.failback ?? 'nobody, or more than one'],
    ['Outage on the way back', outage(drill.failbackOutageMs, 'the outage did not end')],
    ['Everything restored', drill.restored ? 'yes' : 'NO'],
    ['Asked', drill.asked],
    ['Asked from', drill.probeLanes.map(lane => lane.from).join(', ') || 'nowhere'],
  ])
}

function longLivedText(drill: DrillFacts): string {
  const [kept, by] = [keptText(drill), cutByText(drill)]
  const promise = drill.connectionsPromised === true ? '; promised to be kept' : ''
  return kept === undefined ? 'none held' : `${kept}${by === '' ? '' : ` (${by})`}${promise}`
}

function timelines(drill: DrillFacts, whole: Frame): string {
  const closer = closerFrame(drill, whole)
  const about = `${drill.drill} on ${drill.vip}: ${drill.summary}`
  return `<figure class="whole"><figcaption>The whole drill, in seconds since the ${drill.zero}</figcaption>
${renderTimeline(drill, whole, about)}
${LEGEND}</figure>${
    closer === undefined
      ? ''
      : `\n<figure class="closer"><figcaption>Closer: ${escapeMarkup(formatOffset(closer.fromMs))} to ${escapeMarkup(formatOffset(closer.toMs))}</figcaption>
${renderTimeline(drill, closer, `${about}; the moments around the disturbance`)}</figure>`
  }`
}

/** From shortly before the disturbance until another server has the address and answers. */
function closerFrame(drill: DrillFacts, whole: Frame): Frame | undefined {
  const taken = drill.lanes.flatMap(lane =>
    lane.server === drill.to ? lane.holds.filter(span => span.toMs >= 0).map(span => span.fromMs) : [],
  )
  const answered = drill.interruptions.flatMap(gap => (gap.phase === 'failure' && gap.toMs !== undefined ? [gap.toMs] : []))
  const lastMs = Math.max(0, ...(taken.length > 0 ? [Math.min(...taken)] : []), ...answered)
  const frame = { fromMs: Math.max(whole.fromMs, -AROUND_MS), toMs: Math.min(whole.toMs, lastMs + AROUND_MS) }
  return frame.toMs - frame.fromMs < (whole.toMs - whole.fromMs) * CLOSER_BELOW ? frame : undefined
}

const LEGEND = `<ul class="legend">${[
  ['holds the address', '<rect class="held" y="1" width="22" height="10"/>'],
  ['service active', '<rect class="active" y="4" width="22" height="4"/>'],
  ['service not active', '<rect class="down" x=".5" y="1" width="21" height="10"/>'],
  ['state of the server unknown', '<rect class="gone" x=".5" y="1" width="21" height="10"/>'],
  ['outage: nobody answered', '<rect class="outage" x=".5" y=".5" width="21" height="11"/>'],
  ['probe answered', '<rect class="ok" x="9" y="6" width="3" height="6"/>'],
  ['probe failed', '<rect class="failed" x="9" width="3" height="12"/>'],
  [
    'long-lived connection, cut',
    '<rect class="kept" y="3" width="10" height="2"/><rect class="kept" y="8" width="22" height="2"/><rect class="cut" x="9" width="2" height="12"/>',
  ],
]
  .map(([name, drawing]) => `<li><svg width="22" height="12" aria-hidden="true">${drawing}</svg>${name}</li>`)
  .join('')}</ul>`

function interruptions(drill: DrillFacts): string {
  const several = drill.probeLanes.length > 1
  const head = ['outage', 'from', 'to', 'probes lost', 'when', ...(several ? ['asked from'] : [])]
  const phases = { before: 'before the disturbance', failure: 'during the failure', 'way back': 'on the way back' }
  return table(
    'Interruptions',
    head,
    drill.interruptions.map(gap => [
      gap.toMs === undefined ? 'to the end' : `${Math.round(gap.toMs - gap.fromMs)} ms`,
      formatOffset(gap.fromMs),
      gap.toMs === undefined ? '-' : formatOffset(gap.toMs),
      String(gap.failedProbes),
      phases[gap.phase],
      ...(several ? [gap.from] : []),
    ]),
  )
}

function errors(caption: string, what: string, groups: readonly ErrorGroup[]): string {
  return table(
    caption,
    ['error', what, 'first', 'last', 'asked from'],
    groups.map(group => [group.error, String(group.count), formatOffset(group.firstMs), formatOffset(group.lastMs), group.from.join(', ')]),
  )
}

/** It comes first, because most readers came for it. A single drill has the same figures under its own name. */
function allDrills(facts: RunFacts): string {
  if (facts.drills.length < 2) return ''
  const rows = facts.drills.map(summaryRow)
  const drawn = table('', SUMMARY_HEAD, rows, (cell, column, row) =>
    column === 0
      ? `<a href="#drill-${row + 1}">${escapeMarkup(cell)}</a>`
      : SUMMARY_HEAD[column] === 'verdict'
        ? badge(cell)
        : escapeMarkup(cell),
  )
  return `<section class="drill" id="all" aria-labelledby="all-name">
<h2 id="all-name">All drills</h2>
<div>${drawn}</div>
</section>`
}

/** On a phone every row is a card. The roles keep it a table for screen readers. */
function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  draw: (cell: string, column: number, row: number) => string = escapeMarkup,
): string {
  if (rows.length === 0) return ''
  const body = rows.map((cells, row) => {
    const inner = cells.map((cell, i) => {
      const label = `data-label="${escapeMarkup(head[i] ?? '')}"`
      const content = `<span>${draw(cell, i, row)}</span>`
      return i === 0 ? `<th role="rowheader" scope="row" ${label}>${content}</th>` : `<td role="cell" ${label}>${content}</td>`
    })
    return `<tr role="row">${inner.join('')}</tr>`
  })
  return `${caption === '' ? '' : `<h3>${escapeMarkup(caption)}</h3>\n`}<table role="table" class="cards">
<thead role="rowgroup"><tr role="row">${head.map(name => `<th role="columnheader" scope="col">${escapeMarkup(name)}</th>`).join('')}</tr></thead>
<tbody role="rowgroup">${body.join('\n')}</tbody></table>`
}

function journal(drill: DrillFacts): string {
  const known = drill.journal.filter(line => line.sinceMs !== undefined)
  const entries = [
    ...known.map(line => ({ atMs: line.sinceMs ?? 0, html: journalLine(line) })),
    ...(known.length === 0 ? [] : drill.marks).map(mark => ({
      atMs: mark.atMs,
      html: `<li class="event"><time>${formatOffset(mark.atMs)}</time>${escapeMarkup(`${mark.mark} (${mark.server})`)}</li>`,
    })),
  ].sort((a, b) => a.atMs - b.atMs)
  const rest = drill.journal.filter(line => line.sinceMs === undefined).map(journalLine)
  return `<h3>Journal</h3>
${list('notes', drill.journalGaps)}
<details open><summary>${count(drill.journal.length, 'line')}; haproxy's requests and hactl's own looks are left out</summary>
<ol class="journal" tabindex="0" aria-label="Journal lines">${[...entries.map(entry => entry.html), ...rest].join('\n')}</ol>
</details>`
}

function journalLine({ server, source, message, atMs, sinceMs }: JournalFact): string {
  const clock = `${formatClock(atMs)} UTC`
  const time = sinceMs === undefined ? clock : formatOffset(sinceMs)
  return `<li><time title="${clock} by the clock of ${escapeMarkup(server)}">${time}</time><b>${escapeMarkup(server)}</b><span class="src">${escapeMarkup(source)}</span><span class="mono">${escapeMarkup(message)}</span></li>`
}
