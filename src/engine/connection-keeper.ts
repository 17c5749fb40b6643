/** Keeps long-lived connections open through a virtual address: what becomes of people who are connected while it moves. */
import type { Clock, ConnectionKeeper, LongLivedUse, ProbeTarget } from '../ports.ts'
import type { ConnectionSample } from '../state/drill.ts'
import type { Watching } from './watching.ts'

/** How often a kept-alive one sends a request. */
const ASK_EVERY_MS = 200
/** After a cut, or where none could be opened. */
const REOPEN_AFTER_MS = 500

const times = (count: number, use: LongLivedUse): readonly LongLivedUse[] => Array.from({ length: count }, () => use)
/** An HTTP frontend closes an idle connection by itself, so that one must ask; a TCP frontend's protocol is not known, so that nothing can be asked. */
const USES: Readonly<Record<ProbeTarget['kind'], readonly LongLivedUse[]>> = {
  tcp: times(8, 'idle'),
  http: [...times(8, 'kept-alive'), 'transfer'],
  https: [...times(8, 'kept-alive'), 'transfer'],
}

/**
 * Long-lived connections in turns. A turn has started with the first watch. Between `end` and `begin` none is open: a service that waits for
 * open connections before it stops does not wait for these.
 */
export interface LongLived {
  /** Until `stop` aborts; each connection is opened again after it was cut. */
  hold(watch: Watching<ConnectionSample>): Promise<void>
  begin(): void
  end(): void
}

export function longLived(target: ProbeTarget, keep: ConnectionKeeper): LongLived {
  let turn = new AbortController()
  const waiting: (() => void)[] = []
  /** The turn that is on, or comes next; undefined once all is over. */
  const nextTurn = async (stop: AbortSignal) => {
    while (turn.signal.aborted && !stop.aborted) {
      await new Promise<void>(resolve => {
        waiting.push(resolve)
        stop.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    return stop.aborted ? undefined : turn.signal
  }
  return {
    async hold(watch) {
      await Promise.all(USES[target.kind].map((use, id) => holdOne({ target, keep, watch, nextTurn: () => nextTurn(watch.stop) }, use, id)))
    },
    begin() {
      if (!turn.signal.aborted) return
      turn = new AbortController()
      for (const go of waiting.splice(0)) go()
    },
    end() {
      turn.abort()
    },
  }
}

interface Held {
  readonly target: ProbeTarget
  readonly keep: ConnectionKeeper
  readonly watch: Watching<ConnectionSample>
  readonly nextTurn: () => Promise<AbortSignal | undefined>
}

async function holdOne({ target, keep, watch, nextTurn }: Held, use: LongLivedUse, id: number): Promise<void> {
  const { clock, onSample } = watch
  const tell = (sample: Pick<ConnectionSample, 'event' | 'by' | 'error'>) =>
    onSample({ kind: 'connection', from: 'controller', atMs: clock.monotonic(), id, use, ...sample })
  for (;;) {
    const turn = await nextTurn()
    if (turn === undefined) return
    const stop = AbortSignal.any([turn, watch.stop])
    try {
      const end = await keep(target, { use, stop, everyMs: ASK_EVERY_MS, onOpen: () => tell({ event: 'opened' }) })
      if (end.kind === 'not-kept') return
      if (end.kind === 'stopped') {
        if (!watch.stop.aborted) tell({ event: 'closed' })
        continue
      }
      tell(end.kind === 'cut' ? { event: 'cut', by: end.by, error: end.why } : { event: 'closed', error: end.why })
    } catch {
      // A connection that cannot be opened counts as a new one, and the probes count those.
    }
    await pause(clock, stop)
  }
}

async function pause(clock: Clock, stop: AbortSignal): Promise<void> {
  await clock.sleep(REOPEN_AFTER_MS, stop).catch(() => undefined)
}
