/** The rows of a timeline that show what clients met: new connections, and long-lived ones. */
import type { KeptLane, ProbeLane } from './lanes.ts'
import { bar, type Frame, nameOf, period, type Row, type Scale, visible } from './svg-parts.ts'
import { formatOffset } from './text.ts'

const PROBES_PX = 26
const KEPT_PX = 13
/** More probes than this in one frame are drawn as runs: single strokes would cover each other. */
const SINGLE_PROBES = 150

/** Good probes are drawn low and failed ones high, so that they differ without colour. */
export function probesRow(scale: Scale, lane: ProbeLane): Row {
  const probes = lane.probes.filter(probe => scale.isInside(probe.atMs, probe.atMs))
  return {
    height: PROBES_PX,
    label: y => nameOf('server', y + 13, 'probes') + nameOf('small', y + 24, lane.from),
    plot: y => {
      const draw = (fromMs: number, toMs: number, ok: boolean, tip: string) =>
        ok ? bar(scale, { fromMs, toMs }, y + 16, 6, 'ok', tip) : bar(scale, { fromMs, toMs }, y + 4, 18, 'failed', tip)
      const marks =
        probes.length <= SINGLE_PROBES
          ? probes.map(({ atMs, ok, error }) => draw(atMs, atMs, ok, ok ? '' : `${error ?? ''}, ${formatOffset(atMs)}`))
          : runsOf(probes).map(run => {
              const tip = `${run.count} ${run.ok ? 'answered' : 'failed'}, ${period(run)}`
              return draw(run.fromMs, run.toMs, run.ok, tip)
            })
      return `<g class="probes"><line class="rule" x1="0" x2="100%" y1="${y + 0.5}" y2="${y + 0.5}"/>${marks.join('')}</g>`
    },
  }
}

interface Run extends Frame {
  readonly ok: boolean
  readonly count: number
}

function runsOf(probes: ProbeLane['probes']): readonly Run[] {
  const runs: Run[] = []
  for (const { atMs, ok } of probes) {
    const last = runs.at(-1)
    if (last?.ok === ok) runs[runs.length - 1] = { ...last, toMs: atMs, count: last.count + 1 }
    else runs.push({ fromMs: atMs, toMs: atMs, ok, count: 1 })
  }
  return runs
}

const KEPT_HEAD_PX = 26

/** Above the lanes of a place's long-lived connections. */
export function keptHead(from: string): Row {
  return {
    height: KEPT_HEAD_PX,
    label: y => nameOf('server', y + 13, 'long-lived') + nameOf('small', y + 24, from),
    plot: y => `<line class="rule" x1="0" x2="100%" y1="${y + 0.5}" y2="${y + 0.5}"/>`,
  }
}

/** A line from each opening to its end, a stroke across where it was cut. */
export function keptRow(scale: Scale, lane: KeptLane): Row {
  return {
    height: KEPT_PX,
    label: y => nameOf('name', y + 10, lane.name),
    plot: y => {
      const lines = visible(scale, lane.spans).map(span =>
        bar(scale, span, y + 5, 3, 'kept', `${lane.name} of ${lane.from}: open, ${period(span)}`),
      )
      const cuts = lane.cuts
        .filter(cut => scale.isInside(cut.atMs, cut.atMs))
        .map(({ atMs, error }) => bar(scale, { fromMs: atMs, toMs: atMs }, y + 1, 11, 'cut', `cut: ${error}, ${formatOffset(atMs)}`))
      return `<g class="kept">${[...lines, ...cuts].join('')}</g>`
    },
  }
}
