/** The figures of the open-connections benchmark: what one round shows, and the sums that are kept from run to run. No I/O. */
import type { Lost, Tally, TrafficSeen } from './traffic-figures.ts'

/** A packet that ended a connection, as the client's network saw it. */
export interface End {
  readonly atMs: number
  /** A server's name; else the card's address. */
  readonly from: string
  readonly how: 'RST' | 'FIN'
  /** The client's port. */
  readonly port: number
}

export interface Share {
  readonly lost: number
  readonly of: number
}

/** Losses are those since the event. */
export interface Figures {
  readonly rounds: number
  readonly open: Share
  readonly fresh: Share
  readonly keptAlive: Share
  readonly closedBetween: number
  readonly transfers: Share
  /** The longest of all rounds. */
  readonly silenceMs: number
  /** How often a server took an address since the event. */
  readonly moves: number
  /** From the event to the first open connection that was cut and to the last; undefined where none was. */
  readonly cutAfterMs?: readonly [number, number] | undefined
  /** What was lost before the event, which has not done it. */
  readonly early: number
  /** Who cut what, and how often: "open: RST by srv-2", "before the event, new: silence". */
  readonly by: Readonly<Record<string, number>>
}

/** What the traffic alone shows: moves of the address are seen by the watch of the servers. */
export type TrafficFigures = Omit<Figures, 'moves'>

/** Between a packet on the wire and the moments in which the client's program and the watch of the wire, both of them busy, learn of it. */
const NOTICE_MS = 2000

/** "RST by srv-2", "FIN by srv-1", "silence", "answer: HTTP/1.1 503". */
export function whoCut(lost: Lost, ends: readonly End[]): string {
  const isReset = /ECONNRESET|EPIPE|ECONNREFUSED/.test(lost.how)
  if (!isReset && !lost.how.startsWith('EOF')) return lost.how
  const how = isReset ? 'RST' : 'FIN'
  const away = (one: End) => Math.abs(one.atMs - lost.atMs)
  // The nearest: the old holder may reset as well what the new one has reset already.
  const [end] = ends
    .filter(one => one.how === how && one.port === lost.port && away(one) <= NOTICE_MS)
    .toSorted((a, b) => away(a) - away(b))
  return end === undefined ? lost.how : `${how} by ${end.from}`
}

const KINDS = { open: 'open', fresh: 'new', keptAlive: 'kept alive', transfers: 'transfer' } as const
type Kind = keyof typeof KINDS

/** What one round showed, of an event that began at `eventMs`. */
export function figuresOf(seen: TrafficSeen, ends: readonly End[], eventMs: number): TrafficFigures {
  const by: Record<string, number> = {}
  const isEarly = ({ atMs }: Lost) => atMs < eventMs
  for (const kind of Object.keys(KINDS) as Kind[]) {
    const { lost, list } = seen[kind]
    for (const one of list) addTo(by, `${isEarly(one) ? 'before the event, ' : ''}${KINDS[kind]}: ${whoCut(one, ends)}`, 1)
    if (lost > list.length) addTo(by, `${KINDS[kind]}: not listed`, lost - list.length)
  }
  const earlyIn = ({ list }: Tally) => list.filter(isEarly).length
  const share = (tally: Tally): Share => ({ lost: tally.lost - earlyIn(tally), of: tally.of })
  return {
    rounds: 1,
    open: share(seen.open),
    fresh: share(seen.fresh),
    keptAlive: share(seen.keptAlive),
    closedBetween: seen.closedBetween,
    transfers: share(seen.transfers),
    silenceMs: seen.silenceMs,
    cutAfterMs: spanOf(seen.open.list.filter(one => !isEarly(one)).map(({ atMs }) => atMs - eventMs)),
    early: (Object.keys(KINDS) as Kind[]).reduce((sum, kind) => sum + earlyIn(seen[kind]), 0),
    by,
  }
}

function spanOf(times: readonly number[]): readonly [number, number] | undefined {
  return times.length === 0 ? undefined : [Math.min(...times), Math.max(...times)]
}

function addTo(counts: Record<string, number>, key: string, count: number): void {
  counts[key] = (counts[key] ?? 0) + count
}

export function addFigures(a: Figures | undefined, b: Figures): Figures {
  if (a === undefined) return b
  const by = { ...a.by }
  for (const [key, count] of Object.entries(b.by)) addTo(by, key, count)
  const sum = (x: Share, y: Share): Share => ({ lost: x.lost + y.lost, of: x.of + y.of })
  return {
    rounds: a.rounds + b.rounds,
    open: sum(a.open, b.open),
    fresh: sum(a.fresh, b.fresh),
    keptAlive: sum(a.keptAlive, b.keptAlive),
    closedBetween: a.closedBetween + b.closedBetween,
    transfers: sum(a.transfers, b.transfers),
    silenceMs: Math.max(a.silenceMs, b.silenceMs),
    moves: a.moves + b.moves,
    early: a.early + b.early,
    cutAfterMs: spanOf([...(a.cutAfterMs ?? []), ...(b.cutAfterMs ?? [])]),
    by,
  }
}

const grouped = (n: number) => n.toLocaleString('en-US')
const inSeconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
const ofAll = ({ lost, of }: Share) => `${grouped(lost)} of ${grouped(of)}`

/** One line for people. */
export function renderFigures(f: Figures): string {
  const by = Object.entries(f.by)
    .toSorted(([, a], [, b]) => b - a)
    .map(([what, count]) => `${grouped(count)} ${what}`)
  return [
    `open connections cut ${ofAll(f.open)}${f.cutAfterMs === undefined ? '' : ` (after ${inSeconds(f.cutAfterMs[0])} to ${inSeconds(f.cutAfterMs[1])})`}`,
    `new requests lost ${ofAll(f.fresh)}`,
    `kept-alive requests lost ${ofAll(f.keptAlive)} (${grouped(f.closedBetween)} met a closed connection)`,
    `transfers cut ${ofAll(f.transfers)}`,
    `longest silence ${inSeconds(f.silenceMs)}`,
    `addresses moved ${grouped(f.moves)} ${f.moves === 1 ? 'time' : 'times'}`,
    ...(f.early === 0 ? [] : [`lost before the event ${grouped(f.early)}`]),
    ...(by.length === 0 ? [] : [`by: ${by.join('; ')}`]),
  ].join(', ')
}
