/** The history of a cluster, made from what each of its servers recorded. */
import { HactlError } from '../errors.ts'
import type { HistoryEntry, RecordedEntry } from './history.ts'

/** One run. `servers` are those that it changed. */
export type RunEntry = Omit<HistoryEntry, 'changed'> & {
  readonly servers: readonly ({ readonly name: string } & Pick<RecordedEntry, 'changed' | 'files'>)[]
}

/** One entry per run, newest first, from what every server recorded of it. */
export function mergeEntries(byServer: ReadonlyMap<string, readonly RecordedEntry[]>): readonly RunEntry[] {
  const ids = [...new Set([...byServer.values()].flat().map(entry => entry.id))].sort().reverse()
  return ids.flatMap(id => {
    const records = [...byServer].flatMap(([name, entries]) => entries.filter(entry => entry.id === id).map(entry => ({ name, entry })))
    const [first] = records
    if (first === undefined) return []
    const { changed: _changed, files: _files, ...shared } = first.entry
    return [{ ...shared, servers: records.map(({ name, entry }) => ({ name, changed: entry.changed, files: entry.files })) }]
  })
}

/** The entry to go back to: the one named, else the one before the newest. Throws E_NO_HISTORY (5). */
export function chooseEntry(entries: readonly RunEntry[], id: string | undefined): string {
  if (id !== undefined) {
    const matches = entries.filter(entry => entry.id === id || entry.id.startsWith(id))
    const [only] = matches
    if (matches.length === 1 && only !== undefined) return only.id
    throw new HactlError({
      code: 'E_NO_HISTORY',
      what: matches.length === 0 ? `the servers' history has no entry ${id}` : `${id} is the beginning of ${matches.length} entries`,
      fix: 'hactl history lists them',
    })
  }
  const previous = entries[1]
  if (previous !== undefined) return previous.id
  throw new HactlError({
    code: 'E_NO_HISTORY',
    what:
      entries.length === 0
        ? 'hactl has not changed these servers yet'
        : 'the history has only one entry: there is no earlier one to go back to',
    fix: 'hactl history lists the entries; hactl remove removes what hactl deployed',
  })
}
