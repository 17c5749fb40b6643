/** The parts of the fault test: rows, each a kind of fault that is tried many times, and their results. */
import type { Workspace } from '../e2e/support/hactl.ts'
import type { Lab } from '../e2e/support/lab.ts'
import type { Random } from '../inventory/random.ts'

export interface World {
  readonly lab: Lab
  readonly work: Workspace
  readonly random: Random
  /** How far into the whole run it is too late to begin another try. */
  readonly isTimeUp: () => boolean
  readonly say: (text: string) => void
}

/** The result of one try of a fault. */
export interface Tried {
  /** Requests of the independent poller through the virtual address, each over a connection of its own. */
  readonly probes: number
  readonly lost: number
  /** What was not as promised, in words; empty where everything was. */
  readonly broken: readonly string[]
  /** Runs that did not end within their deadline. */
  readonly hung: readonly string[]
  /** Other counts, by name: summed over the tries. */
  readonly counts?: Readonly<Record<string, number>>
  /** Other measured times, in ms by name: the longest of all tries is reported. */
  readonly longestMs?: Readonly<Record<string, number>>
}

export interface Row {
  /** For --only. */
  readonly name: string
  /** The fault, in the words of the table. */
  readonly title: string
  /** How often it is tried where the command line says nothing else. */
  readonly times: number
  /** Prepares what all tries need and resolves to the try itself, and to what cleans up behind the last one. */
  readonly open: (world: World) => Promise<{ readonly attempt: (n: number) => Promise<Tried>; readonly close?: () => Promise<void> }>
}

/** A row as the table has it. */
export interface RowResult {
  readonly name: string
  readonly title: string
  readonly tried: number
  readonly probes: number
  readonly lost: number
  readonly broken: readonly string[]
  readonly hung: readonly string[]
  readonly also: string
}

/** One line of the table out of all tries of a row. */
export function sumUp(row: Pick<Row, 'name' | 'title'>, tries: readonly Tried[]): RowResult {
  const counts = new Map<string, number>()
  const longest = new Map<string, number>()
  for (const one of tries) {
    for (const [name, count] of Object.entries(one.counts ?? {})) counts.set(name, (counts.get(name) ?? 0) + count)
    for (const [name, ms] of Object.entries(one.longestMs ?? {})) longest.set(name, Math.max(longest.get(name) ?? 0, ms))
  }
  const sum = (pick: (one: Tried) => number) => tries.reduce((total, one) => total + pick(one), 0)
  return {
    name: row.name,
    title: row.title,
    tried: tries.length,
    probes: sum(one => one.probes),
    lost: sum(one => one.lost),
    broken: tries.flatMap(one => (one.broken.length === 0 ? [] : [one.broken.join('; ')])),
    hung: tries.flatMap(one => one.hung),
    also: [
      ...[...longest].map(([name, ms]) => `${name}: ${(ms / 1000).toFixed(1)} s at most`),
      ...[...counts].map(([name, count]) => `${name}: ${count}`),
    ].join('; '),
  }
}
