/**
 * A drill as a drawing: one lane per server, one per place that probes came from, the outages as bands, the marks as lines.
 * Times are placed in percent and everything else in px, so that the drawing fits any width, and text and patterns keep their size.
 */
import { formatMs } from '../words.ts'
import type { DrillFacts } from './facts.ts'
import type { Interruption, ServerLane, Span } from './lanes.ts'
import { bar, beside, type Frame, LABELS_PX, LETTER_PX, nameOf, period, round, type Row, type Scale, text, visible } from './svg-parts.ts'
import { keptHead, keptRow, probesRow } from './svg-probes.ts'
import { escapeMarkup, formatOffset } from './text.ts'

/** Heights, in px. */
const HIGH = { mark: 16, head: 22, row: 16, axis: 20 } as const
/** How wide the plot is on a phone and elsewhere, in px, for choosing what has room. */
const NARROW_PX = 175
const WIDE_PX = 560

export function renderTimeline(drill: DrillFacts, frame: Frame, about: string): string {
  const at = (ms: number) => ((ms - frame.fromMs) / (frame.toMs - frame.fromMs)) * 100
  const scale: Scale = {
    x: ms => `${round(Math.min(100, Math.max(0, at(ms))))}%`,
    at,
    isInside: (fromMs, toMs) => toMs >= frame.fromMs && fromMs <= frame.toMs,
    frame,
  }
  const rows = [
    ...drill.marks.filter(mark => scale.isInside(mark.atMs, mark.atMs)).map(mark => markRow(scale, mark.mark, mark.atMs)),
    ...bandRow(scale, drill.interruptions),
    ...drill.lanes.flatMap(lane => laneRows(scale, lane)),
    ...drill.probeLanes.map(lane => probesRow(scale, lane)),
    ...[...new Set(drill.keptLanes.map(lane => lane.from))].flatMap(from => [
      keptHead(from),
      ...drill.keptLanes.filter(lane => lane.from === from).map(lane => keptRow(scale, lane)),
    ]),
  ]
  const rowsPx = rows.reduce((sum, row) => sum + row.height, 0)
  const height = rowsPx + HIGH.axis
  let y = 0
  const labels: string[] = []
  const plots: string[] = []
  for (const row of rows) {
    labels.push(row.label(y))
    plots.push(row.plot(y))
    y += row.height
  }
  return `<div class="timeline">
<svg class="labels" width="${LABELS_PX}" height="${height}" aria-hidden="true">${labels.join('')}<text class="axis" x="0" y="${height - 6}">seconds</text></svg>
<svg class="plot" width="100%" height="${height}" role="img" aria-label="${escapeMarkup(about)}">
${axis(scale, rowsPx)}${bands(scale, drill.interruptions, rowsPx)}${markLines(scale, drill, rowsPx)}
${plots.join('\n')}
</svg>
</div>`
}

function markRow(scale: Scale, mark: string, atMs: number): Row {
  return {
    height: HIGH.mark,
    label: y => nameOf('name', y + 12, mark),
    plot: y =>
      `<circle class="mark" cx="${scale.x(atMs)}" cy="${y + 8}" r="3"/>${beside(scale, atMs, y + 12, 'value halo', formatOffset(atMs))}`,
  }
}

/** Each line starts at its own row, so that it crosses no other mark's text above. */
function markLines(scale: Scale, drill: DrillFacts, height: number): string {
  return drill.marks
    .filter(mark => scale.isInside(mark.atMs, mark.atMs))
    .map(({ mark, atMs }, index) => {
      const [x, tip] = [scale.x(atMs), escapeMarkup(`${mark} ${formatOffset(atMs)}`)]
      const y = index * HIGH.mark + HIGH.mark / 2
      return `<line class="mark ${escapeMarkup(mark)}" x1="${x}" x2="${x}" y1="${y}" y2="${height}"><title>${tip}</title></line>`
    })
    .join('')
}

function bands(scale: Scale, interruptions: readonly Interruption[], height: number): string {
  return interruptions
    .map(gap => ({ fromMs: gap.fromMs, toMs: gap.toMs ?? scale.frame.toMs, gap }))
    .filter(span => scale.isInside(span.fromMs, span.toMs))
    .map(span => bar(scale, span, 0, height, 'outage', gapText(span.gap)))
    .join('')
}

function gapText({ fromMs, toMs }: Interruption): string {
  return toMs === undefined ? 'outage that did not end' : `outage of ${Math.round(toMs - fromMs)} ms`
}

/** The length of each band, as far as there is room, the longest first. The table beneath has all of them. */
function bandRow(scale: Scale, interruptions: readonly Interruption[]): readonly Row[] {
  const spans = interruptions
    .map(gap => ({ fromMs: gap.fromMs, toMs: gap.toMs ?? scale.frame.toMs, gap }))
    .filter(span => scale.isInside(span.fromMs, span.toMs))
    .sort((a, b) => b.toMs - b.fromMs - (a.toMs - a.fromMs))
  if (spans.length === 0) return []
  const taken: { readonly from: number; readonly to: number }[] = []
  const told = spans.flatMap(span => {
    const content = span.gap.toMs === undefined ? 'to the end' : formatMs(span.gap.toMs - span.fromMs)
    const middle = (Math.max(0, scale.at(span.fromMs)) + Math.min(100, scale.at(span.toMs))) / 2
    const half = ((content.length * LETTER_PX) / NARROW_PX) * 50
    // Near an edge the text is anchored at that end, because the width of its letters depends on the reader's font.
    const [x, anchor, from] =
      middle < 2 * half
        ? ([0, 'start', 0] as const)
        : middle > 100 - 2 * half
          ? ([100, 'end', 100 - 2 * half] as const)
          : ([middle, 'middle', middle - half] as const)
    const to = from + 2 * half
    if (taken.some(other => to >= other.from && from <= other.to)) return []
    taken.push({ from, to })
    return [{ x: `${round(x)}%`, anchor, content }]
  })
  return [
    {
      height: HIGH.mark,
      label: y => nameOf('name', y + 12, 'outage'),
      plot: y => told.map(({ x, anchor, content }) => text('value halo gap', x, y + 12, anchor, content)).join(''),
    },
  ]
}

function laneRows(scale: Scale, lane: ServerLane): readonly Row[] {
  const units = Object.entries(lane.units)
  const rowsPx = HIGH.row * (units.length + 1)
  const gone = (y: number) =>
    visible(scale, lane.silences)
      .map(span => {
        const tip = `${lane.server} was ${span.state}, ${period(span)}`
        return bar(scale, span, y, rowsPx - 3, 'gone', tip) + inside(scale, span, y + rowsPx / 2 + 3, span.state)
      })
      .join('')
  const head: Row = {
    height: HIGH.head,
    label: y => nameOf('server', y + 17, lane.server),
    plot: y =>
      `<g class="lane" data-server="${escapeMarkup(lane.server)}"><line class="rule" x1="0" x2="100%" y1="${y + 3.5}" y2="${y + 3.5}"/></g>`,
  }
  const holds: Row = {
    height: HIGH.row,
    label: y => nameOf('name', y + 11, 'address'),
    plot: y =>
      baseline(y) +
      visible(scale, lane.holds)
        .map(span => bar(scale, span, y + 1, HIGH.row - 4, 'held', `${lane.server} held the address, ${period(span)}`))
        .join('') +
      gone(y),
  }
  return [head, holds, ...units.map(([unit, spans]) => unitRow(scale, lane.server, unit, spans))]
}

function unitRow(scale: Scale, server: string, unit: string, spans: readonly Span[]): Row {
  return {
    height: HIGH.row,
    label: y => nameOf('name', y + 11, unit),
    plot: y =>
      visible(scale, spans)
        .map(span => {
          const tip = `${unit} on ${server}: ${span.state}, ${period(span)}`
          if (span.state === 'active') return bar(scale, span, y + 5, 4, 'active', tip)
          const className = span.state === 'unknown' ? 'unknown' : 'down'
          return bar(scale, span, y + 1, HIGH.row - 4, className, tip) + inside(scale, span, y + 11, span.state)
        })
        .join(''),
  }
}

function baseline(y: number): string {
  return `<line class="base" x1="0" x2="100%" y1="${y + 7}" y2="${y + 7}"/>`
}

/** The state's name in its bar: on all screens, on wide ones only, or not at all, as it fits. */
function inside(scale: Scale, span: Span, y: number, content: string): string {
  const [from, to] = [Math.max(0, scale.at(span.fromMs)), Math.min(100, scale.at(span.toMs))]
  const needsPx = content.length * LETTER_PX + 8
  const width = (to - from) / 100
  if (width * WIDE_PX < needsPx) return ''
  const className = width * NARROW_PX < needsPx ? 'value halo on wide' : 'value halo on'
  return text(className, `${round((from + to) / 2)}%`, y, 'middle', content)
}

const STEPS_MS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000]

function axis(scale: Scale, y: number): string {
  const { fromMs, toMs } = scale.frame
  const step = STEPS_MS.find(ms => (toMs - fromMs) / ms <= 10) ?? 120_000
  const ticks: string[] = [`<line class="base" x1="0" x2="100%" y1="${y}" y2="${y}"/>`]
  for (let n = Math.ceil(fromMs / step); n * step <= toMs; n++) {
    const ms = n * step
    const isMajor = n % 2 === 0
    ticks.push(`<line class="grid" x1="${scale.x(ms)}" x2="${scale.x(ms)}" y1="0" y2="${y}"/>`)
    const place = scale.at(ms)
    const anchor = place < 4 ? 'start' : place > 96 ? 'end' : 'middle'
    ticks.push(text(isMajor ? 'axis' : 'axis wide', scale.x(ms), y + 14, anchor, String(round(ms / 1000))))
  }
  return ticks.join('')
}
