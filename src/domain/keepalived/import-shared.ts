/** Shared by the importers of a keepalived.conf's blocks: one thing as several servers have it, and where they differ. */
import { TRACKERS } from '../trackers.ts'
import type { ConfNode, KeepalivedConf } from './parse.ts'

/** The same block on each server. */
export interface Here {
  readonly server: string
  readonly conf: KeepalivedConf
  readonly node: ConfNode
}

/** hactl's own track files, in profile fast. */
export const OWN_TRACKERS: ReadonlySet<string> = new Set(TRACKERS.map(t => t.name))

/** Takes one sentence for the operator. */
export type Note = (text: string) => void

/** A value that should be the same on all servers: that of the first, and a note where another differs. */
export function shared(by: readonly Here[], what: string, read: (here: Here) => string | undefined, note: Note): string | undefined {
  const values = by.map(here => ({ server: here.server, value: read(here) }))
  const [first] = values
  const others = values.filter(({ value }) => value !== first?.value)
  if (first !== undefined && others.length > 0) {
    const list = others.map(({ server, value }) => `${value ?? 'nothing'} on ${server}`)
    note(`${what} is ${first.value ?? 'nothing'} on ${first.server}, ${list.join(', ')}: that of ${first.server} was taken`)
  }
  return first?.value
}

/** undefined where the value is no number or is missing. */
export function numeric(text: string | undefined): number | undefined {
  return text === undefined || !/^-?\d+(\.\d+)?$/.test(text) ? undefined : Number(text)
}

/** A key to be spread into an inventory, which has no undefined values. */
export function given<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>)
}

/** Notes each keyword of a block that an inventory cannot express, once. */
export function noteUnknown(by: readonly Here[], where: string, isKnown: (word: string) => boolean, note: Note): void {
  const unknown = by.flatMap(({ node }) => node.children ?? []).map(node => node.words[0] ?? '')
  for (const word of new Set(unknown.filter(word => !isKnown(word))))
    note(`${where}: ${word} is not carried over: hactl has no setting for it`)
}
