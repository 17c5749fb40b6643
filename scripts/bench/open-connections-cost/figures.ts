/** The figures of what keeping open connections costs: parsing, sums, words. No I/O. */
import { median } from '../../support/figures.ts'
import type { Asked } from './clients.ts'

/** What wrk has done. */
export interface Done {
  readonly requests: number
  /** Connections that failed, and answers other than 2xx and 3xx. */
  readonly errors: number
}

/** wrk's report; undefined where it is none. */
export function parseWrk(text: string): Done | undefined {
  const requests = /(\d+) requests in /.exec(text)?.[1]
  if (requests === undefined) return undefined
  const failed = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? []
  const refused = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? '0'
  return { requests: Number(requests), errors: [...failed, refused].reduce((sum, count) => sum + Number(count), 0) }
}

/** The middle value, the smallest and the largest, and the middles of both halves. */
export interface Spread {
  readonly count: number
  readonly median: number
  readonly quarter: number
  readonly threeQuarters: number
  readonly least: number
  readonly most: number
}

/** Of an odd number the middle value belongs to both halves. Of no values all are NaN. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const half = Math.ceil(sorted.length / 2)
  return {
    count: sorted.length,
    median: median(sorted),
    quarter: median(sorted.slice(0, half)),
    threeQuarters: median(sorted.slice(sorted.length - half)),
    least: sorted[0] ?? Number.NaN,
    most: sorted.at(-1) ?? Number.NaN,
  }
}

/** "8.10 us (7.90 to 8.40, half of 9 within 8.00 to 8.20)" */
export function renderSpread({ count, median: middle, quarter, threeQuarters, least, most }: Spread, unit: string): string {
  const [m, a, b, q, t] = [middle, least, most, quarter, threeQuarters].map(value => value.toFixed(2))
  return `${m} ${unit} (${a} to ${b}, half of ${count} within ${q} to ${t})`
}

/**
 * How many connections each program of the clients opens, by worker of haproxy. No worker has more than `perWorker` and no program more than
 * `perProgram`; all have about the same.
 */
export function planClients(count: number, perWorker: number, perProgram: number): readonly (readonly number[])[] {
  const evenly = (of: number, most: number) => {
    const parts = Math.ceil(of / most)
    return Array.from({ length: parts }, (_, at) => Math.floor(((at + 1) * of) / parts) - Math.floor((at * of) / parts))
  }
  return evenly(count, perWorker).map(one => evenly(one, perProgram))
}

export function sumOf(asked: readonly Asked[]): Asked {
  const lost: Record<string, number> = {}
  for (const one of asked) for (const [how, count] of Object.entries(one.lost)) lost[how] = (lost[how] ?? 0) + count
  return { answered: asked.reduce((sum, one) => sum + one.answered, 0), lost }
}

/** The last look that was taken no later than that; the first where none was. Throws where there are none. */
export function lookBefore<Look extends { readonly atMs: number }>(looks: readonly Look[], atMs: number): Look {
  const look = looks.findLast(one => one.atMs <= atMs) ?? looks[0]
  if (look === undefined) throw new Error('no look was taken')
  return look
}

/** A figure beside the most that it may be. */
export interface Judged {
  readonly what: string
  readonly seen: string
  readonly bar: string
  readonly isMet: boolean
}

/** CPU for each request in us, by measurement. What was measured with errors is in neither list. */
export interface RequestCosts {
  readonly with: number[]
  readonly without: number[]
  /** Of all measurements. */
  errors: number
}

/** With the rules, in times of without. */
const MOST_RATIO = 1.05

/** Requests that fail cost something else than requests that are answered: errors meet no bar. */
export function judgeRequests(name: string, costs: RequestCosts): Judged {
  const [withRules, without] = [spreadOf(costs.with), spreadOf(costs.without)]
  const ratio = withRules.median / without.median
  const errors = costs.errors === 0 ? '' : `; ${costs.errors.toLocaleString('en-US')} errors`
  return {
    what: `CPU a request, ${name}`,
    seen: `${ratio.toFixed(3)}x: with the rules ${renderSpread(withRules, 'us')}, without ${renderSpread(without, 'us')}${errors}`,
    bar: `${MOST_RATIO.toFixed(2)}x, without errors`,
    isMet: costs.errors === 0 && ratio <= MOST_RATIO,
  }
}
