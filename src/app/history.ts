import { listHistory } from '../engine/history.ts'
import { mergeEntries, type RunEntry } from '../engine/history-entries.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, withReachable } from './connect.ts'
import { loadCluster } from './load.ts'

export interface HistoryReport {
  /** Newest first. */
  readonly entries: readonly RunEntry[]
}

/** Reports what was changed on these servers, when, by whom and from what. Throws what connecting and reading throw. */
export async function history(input: ConnectOptions & { readonly inventoryPath: string }, ports: Ports): Promise<HistoryReport> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  return withReachable(
    loaded,
    input,
    ports,
    session => listHistory(session, ports.signal),
    async ({ failures }, entries) => {
      throwAll(failures)
      return { entries: mergeEntries(entries) }
    },
  )
}
