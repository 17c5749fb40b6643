import type { EngineEvent } from '../../engine/events.ts'
import { count, formatMs } from '../../words.ts'
import { printable } from './style.ts'

export type EventSink = (event: EngineEvent) => void

/** One line per event, the server's name in front: for logs, pipes and CI, where nothing can be redrawn. */
export function createLines(write: (line: string) => void, verbose: boolean): EventSink {
  const worthShowing = sampleFilter()
  let waiting = ''
  return event => {
    if (event.kind === 'drill-sample' && !worthShowing(event)) return
    // A gate reports at every look; the log needs each reason once.
    if (event.kind === 'gate-waiting') {
      if (waiting === `${event.gate} ${event.detail}`) return
      waiting = `${event.gate} ${event.detail}`
    }
    const line = renderEvent(event, verbose)
    if (line !== undefined) write(printable(line).replaceAll('\n', '\n  '))
  }
}

/** An event in words; undefined where the next event says the same and more. */
function renderEvent(event: EngineEvent, verbose: boolean): string | undefined {
  switch (event.kind) {
    case 'observe-started':
      return verbose ? `${event.server}: connect and look` : undefined
    case 'observed':
      return `${event.server}: ${event.detail ?? 'seen'} (${formatMs(event.durationMs)})`
    case 'observe-failed':
      return `${event.server}: failed after ${formatMs(event.durationMs)}: ${event.detail}`
    case 'plan-ready':
      return undefined
    case 'lock-taken':
      return verbose ? `lock ${event.id} taken on ${event.servers.join(', ')}` : undefined
    case 'stage-started':
      return event.servers.length === 0 ? undefined : `${event.title}: ${event.servers.join(', ')}`
    case 'wave-started':
      return event.waves > 1 ? `${event.stage}: wave ${event.wave} of ${event.waves}: ${event.servers.join(', ')}` : undefined
    case 'action-started':
      return verbose ? `${event.server}: ${event.title}` : undefined
    case 'action-done':
      return `${event.server}: ${event.title}: done in ${formatMs(event.durationMs)}${event.detail === undefined ? '' : ` (${event.detail})`}`
    case 'action-failed':
      return `${event.server}: ${event.title}: failed after ${formatMs(event.durationMs)}: ${event.detail}`
    case 'gate-waiting':
      return `${event.servers.join(', ')}: wait: ${event.title}${event.detail === undefined ? '' : `: ${event.detail}`}`
    case 'gate-passed':
      return `${event.servers.join(', ')}: ${event.title}: passed after ${formatMs(event.durationMs)}`
    case 'gate-failed':
      return `${event.servers.join(', ')}: ${event.title}: failed after ${formatMs(event.durationMs)}: ${event.detail}`
    case 'restored':
      return `${event.server}: restored: ${event.title}`
    case 'drill-announced':
      return `${event.drill}: ${event.vip}: will ${event.title}; expected: ${event.expects}`
    case 'drill-armed':
      return `${event.drill}: ${event.title} (after ${formatMs(event.undoAfterMs)} the server undoes it by itself)`
    case 'drill-disturbed':
      return `${event.drill}: ${event.title}`
    case 'drill-sample':
      return `${event.drill}: ${renderSample(event)}`
    case 'drill-undone':
      return `${event.drill}: undone: ${event.title}`
    case 'drill-verdict':
      return `${event.drill}: ${event.vip}: ${event.verdict}: ${event.title}`
    case 'note':
      return inFront(event.server, event.text)
    case 'warning':
      return inFront(event.server, `warning: ${event.text}`)
  }
}

export type Sample = Extract<EngineEvent, { kind: 'drill-sample' }>

/** "192.0.2.200 on srv-2 after 310 ms, 12 of 640 probes lost". */
function renderSample(sample: Sample): string {
  const probes = sample.probesOk + sample.probesFailed
  const time = sample.atMs === undefined ? 'before the disturbance' : `after ${formatMs(sample.atMs)}`
  return `${sample.vip} ${whoHolds(sample)} ${time}, ${sample.probesFailed} of ${count(probes, 'probe')} lost`
}

/** "srv-1  holds 192.0.2.200  haproxy inactive, keepalived active". */
export function renderServer(sample: Sample, server: string): string {
  const holds = sample.holds[server]
  if (holds === undefined) return `${server}  does not report`
  const units = Object.entries(sample.units?.[server] ?? {}).map(([unit, state]) => `${unit} ${state}`)
  return [server, holds ? `holds ${sample.vip}` : ' '.repeat(`holds ${sample.vip}`.length), units.join(', ')].join('  ').trimEnd()
}

/** "55 probes/s, 12 of 640 lost, longest outage so far 310 ms, 2.9 s after the disturbance". */
export function renderProbes(sample: Sample): string {
  const rate = sample.probesPerSecond === undefined ? '' : `${sample.probesPerSecond} probes/s, `
  const outage = sample.outageMs === undefined ? '' : `, longest outage so far ${formatMs(sample.outageMs)}`
  const all = sample.probesOk + sample.probesFailed
  return `${rate}${sample.probesFailed} of ${all} lost${outage}, ${renderTime(sample)}`
}

function renderTime({ atMs }: Sample): string {
  return atMs === undefined ? 'before the disturbance' : `${formatMs(atMs)} after the disturbance`
}

function whoHolds(sample: Sample): string {
  const holders = Object.keys(sample.holds).filter(server => sample.holds[server] === true)
  return holders.length === 0 ? 'on no server' : `on ${holders.join(' and ')}`
}

const SAMPLE_EVERY_MS = 1000

/** Samples come many times a second: true for the first, for every new holder, and once a second. */
export function sampleFilter(): (sample: Sample) => boolean {
  let last: Sample | undefined
  return sample => {
    const isNews =
      last === undefined ||
      last.drill !== sample.drill ||
      last.vip !== sample.vip ||
      whoHolds(last) !== whoHolds(sample) ||
      timeOf(sample) < timeOf(last) ||
      timeOf(sample) - timeOf(last) >= SAMPLE_EVERY_MS
    if (isNews) last = sample
    return isNews
  }
}

/** Samples from before the disturbance count as one time. */
function timeOf({ atMs }: Sample): number {
  return atMs ?? Number.NEGATIVE_INFINITY
}

function inFront(server: string | undefined, text: string): string {
  return server === undefined ? text : `${server}: ${text}`
}
