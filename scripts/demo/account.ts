/** What one event of the demo cost its clients, and the table of both profiles. No I/O. */
import type { Figures, Share } from '../bench/connections/figures.ts'
import { widthsOf } from '../support/figures.ts'
import { formatMs } from '../../src/words.ts'
import type { Profile } from './events.ts'

/** The last line of --json. Times are null where the address did not answer again. */
export interface Result {
  readonly exit: number
  /** Of verify-failover. */
  readonly drills?: readonly {
    readonly drill: string
    readonly verdict: string
    readonly outage_ms: number | null
    readonly failback_outage_ms: number | null
    readonly reasons: readonly string[]
  }[]
  /** Of drain and undrain. */
  readonly vips?: readonly {
    readonly address: string
    readonly from: string | null
    readonly to: string | null
    readonly outage_ms: number | null
  }[]
}

export interface Account {
  readonly event: string
  readonly profile: Profile
  /** New requests and those of kept-alive clients. */
  readonly requests: Share
  /** The longest time without an answer, as hactl's probes saw it; undefined where none came any more, and where nothing was measured. */
  readonly outageMs: number | undefined
  /** Connections that stay open, and transfers; `lost`: cut. */
  readonly open: Share
  /** From the disturbance to the first that was cut; undefined where none was, or where it is not known when hactl disturbed the server. */
  readonly cutAfterMs: number | undefined
  /** What was not as hactl promises it. */
  readonly problems: readonly string[]
}

interface Happened {
  readonly event: string
  readonly profile: Profile
  /** One for each command. */
  readonly results: readonly Result[]
  /** What the clients saw; times count from the disturbance, where that is known. */
  readonly seen: Pick<Figures, 'open' | 'transfers' | 'fresh' | 'keptAlive' | 'cutAfterMs'>
  readonly isDisturbanceKnown: boolean
}

export function accountOf({ event, profile, results, seen, isDisturbanceKnown }: Happened): Account {
  const outages = results.flatMap(({ drills = [], vips = [] }) => [
    ...drills.flatMap(({ outage_ms, failback_outage_ms }) => [outage_ms, failback_outage_ms]),
    ...vips.map(({ outage_ms }) => outage_ms),
  ])
  return {
    event,
    profile,
    requests: sum(seen.fresh, seen.keptAlive),
    outageMs: outages.includes(null) || outages.length === 0 ? undefined : Math.max(...outages.map(Number)),
    open: sum(seen.open, seen.transfers),
    cutAfterMs: isDisturbanceKnown ? seen.cutAfterMs?.[0] : undefined,
    problems: results.flatMap(problemsIn).map(problem => `${event}, profile ${profile}: ${problem}`),
  }
}

const sum = (a: Share, b: Share): Share => ({ lost: a.lost + b.lost, of: a.of + b.of })

function problemsIn({ exit, drills = [], vips = [] }: Result): readonly string[] {
  const told = [
    ...drills
      .filter(({ verdict }) => verdict !== 'passed')
      .map(({ drill, verdict, reasons }) => [`${drill} ${verdict}`, ...reasons].join('; ')),
    ...vips.filter(({ from, to }) => to === null || to === from).map(({ address }) => `${address} did not move`),
  ]
  return told.length === 0 && exit !== 0 ? [`hactl ended with exit ${exit}`] : told
}

/** Less than that is not told apart: the clients and hactl's words both take their time. */
const AT_ONCE_MS = 100

const requestsText = ({ requests: { lost, of } }: Account) => `${lost} of ${of}`
const outageText = ({ outageMs }: Account) => (outageMs === undefined ? 'not known' : formatMs(outageMs))

function openText({ open: { lost, of }, cutAfterMs }: Account): string {
  if (lost === 0) return `all ${of} kept`
  const cut = `${lost} of ${of} cut`
  if (cutAfterMs === undefined) return cut
  return cutAfterMs < AT_ONCE_MS ? `${cut} at once` : `${cut} after ${(cutAfterMs / 1000).toFixed(1)} s`
}

/** The words of openText, for whoever paints them. */
export const KEPT = /\ball \d+ kept\b/g
export const CUT = /\b\d+ of \d+ cut\b(?: at once\b| after [\d.]+ s\b)?/g

/** One line, for when the event is over. */
export function accountText(account: Account): string {
  return `clients: ${requestsText(account)} requests lost, open connections: ${openText(account)}`
}

const ROWS = [
  ['requests lost', requestsText],
  ['longest without an answer', outageText],
  ['open connections', openText],
] as const

/** Both profiles side by side, with three rows for each event. The first line is the header. */
export function tableOf(accounts: readonly Account[]): readonly string[] {
  const events = [...new Set(accounts.map(({ event }) => event))]
  const cells = events.flatMap(event => {
    const of = (profile: Profile) => accounts.find(one => one.event === event && one.profile === profile)
    const [classic, fast] = [of('classic'), of('fast')]
    const text = (account: Account | undefined, tell: (account: Account) => string) => (account === undefined ? '-' : tell(account))
    return [[event, '', ''], ...ROWS.map(([name, tell]) => [`  ${name}`, text(classic, tell), text(fast, tell)])]
  })
  const rows = [['', 'profile classic', 'profile fast'], ...cells]
  const widths = widthsOf(rows)
  return rows.map(row =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('   ')
      .trimEnd(),
  )
}
