/** What runs beside a drill or a move: what every server says of itself, and whatever asks through the addresses. */
import type { Clock } from '../ports.ts'
import type { HolderSample, ProbeSample } from '../state/drill.ts'
import { WATCHERS_END_MS } from './limits.ts'
import type { Links } from './links.ts'
import { runSampler, type Watch } from './sampler.ts'

/** Sends probes until `stop` aborts, for at most boundMs; rejects where it cannot go on. */
export type SendProbes = (watch: {
  readonly stop: AbortSignal
  readonly boundMs: number
  readonly onSample: (sample: ProbeSample) => void
}) => Promise<unknown>

export interface WatchersRun {
  readonly links: Links
  readonly clock: Clock
  /** What every server is asked for; without an address none is asked. */
  readonly look: Omit<Watch, 'boundMs'>
  /** After this many ms no watcher goes on, although hactl itself may be gone. */
  readonly boundMs: number
  readonly onHolder: (sample: HolderSample) => void
  /** Started with the watch; each goes on until `stop` aborts, and rejects where it cannot. */
  readonly others: readonly ((watch: { readonly stop: AbortSignal; readonly boundMs: number }) => Promise<unknown>)[]
}

export interface Watchers {
  /** Throws what made a watcher stop, if anything did. */
  assertWatching(): void
  end(): Promise<void>
}

export function startWatchers({ links, clock, look, boundMs, onHolder, others }: WatchersRun): Watchers {
  const stop = new AbortController()
  let fault: { readonly thrown: unknown } | undefined
  const failed = (thrown: unknown) => {
    fault ??= { thrown }
  }
  const samplers = (look.vips.length === 0 ? [] : links.servers).map(server =>
    runSampler({
      session: links.current(server),
      reconnect: (lost, signal) => links.renew(lost, signal),
      watch: { ...look, boundMs },
      clock,
      stop: stop.signal,
      onSample: onHolder,
    }).catch(failed),
  )
  const running = [...samplers, ...others.map(begin => begin({ stop: stop.signal, boundMs }).catch(failed))]
  return {
    assertWatching() {
      if (fault !== undefined) throw fault.thrown
    },
    async end() {
      stop.abort()
      // A watcher that does not end must not keep the result, or an interrupt, waiting.
      await Promise.race([Promise.all(running), clock.sleep(WATCHERS_END_MS)])
    },
  }
}
