/** Keeps long-lived connections open through a virtual address: a move cuts them, even one that new connections do not notice. */
import type { ConnectionKeeper, ProbeTarget } from '../ports.ts'
import type { ConnectionSample } from '../state/drill.ts'
import type { Watching } from './watching.ts'

/** How many connections are kept, and how often each sends a request. */
const CONNECTIONS = 4
const ASK_EVERY_MS = 200
/** After a cut, or where none could be opened. */
const REOPEN_AFTER_MS = 500

export interface KeeperRun extends Watching<ConnectionSample> {
  readonly target: ProbeTarget
  readonly keep: ConnectionKeeper
}

/** Keeps some connections open until `stop` aborts, and opens each again after a cut. Ends at once where the service keeps none. */
export async function runConnectionKeeper(run: KeeperRun): Promise<void> {
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, id) => keepOne(run, id)))
}

async function keepOne({ target, keep, clock, stop, onSample }: KeeperRun, id: number): Promise<void> {
  const tell = (event: ConnectionSample['event'], error?: string) =>
    onSample({ kind: 'connection', from: 'controller', atMs: clock.monotonic(), id, event, ...(error === undefined ? {} : { error }) })
  while (!stop.aborted) {
    try {
      const ended = await keep(target, { stop, everyMs: ASK_EVERY_MS, onOpen: () => tell('opened') })
      if (ended === undefined || ended === 'not-kept') return
      tell('cut', ended)
    } catch {
      // A connection that cannot be opened counts as a new one, and the probes count those.
    }
    try {
      await clock.sleep(REOPEN_AFTER_MS, stop)
    } catch {
      return
    }
  }
}
