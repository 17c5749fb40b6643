import { type HistoryEntry, listHistoryScript, parseHistory, type RecordedEntry } from '../engine/history.ts'
import { HactlError, throwAll } from '../errors.ts'
import type { Ports, Session } from '../ports.ts'
import { type ConnectOptions, withReachable } from './connect.ts'
import { loadCluster } from './load.ts'

const LIST_DEADLINE_MS = 15_000

export interface HistoryReport {
  /** Newest first. One run is one entry; `servers` are those it changed. */
  readonly entries: readonly (Omit<HistoryEntry, 'changed'> & {
    readonly servers: readonly ({ readonly name: string } & Pick<RecordedEntry, 'changed' | 'files'>)[]
  })[]
}

/** What was changed on these servers, when, by whom and from what. */
export async function history(input: ConnectOptions & { readonly inventoryPath: string }, ports: Ports): Promise<HistoryReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  return withReachable(
    loaded,
    input,
    ports,
    session => listHistory(session, ports.signal),
    async ({ failures }, results) => {
      throwAll(failures)
      return { entries: mergeEntries(results) }
    },
  )
}

export async function listHistory(session: Session, signal: AbortSignal): Promise<readonly RecordedEntry[]> {
  const result = await session.run(listHistoryScript(), { effect: 'none', label: 'read the history', deadlineMs: LIST_DEADLINE_MS, signal })
  return parseHistory(session.server, result.stdout)
}

/** One entry per run, newest first, from what every server recorded of it. */
export function mergeEntries(byServer: ReadonlyMap<string, readonly RecordedEntry[]>): HistoryReport['entries'] {
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
export function chooseEntry(entries: HistoryReport['entries'], id: string | undefined): string {
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
