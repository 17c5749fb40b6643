/** What becomes of open connections when an address leaves its holder, by the cause. */
import type { Cluster } from '../cluster-types.ts'

/** As the events of `hactl check`. */
type MoveCause = 'haproxy-stop' | 'haproxy-kill' | 'haproxy-hang' | 'keepalived-stop' | 'server-dead'

export type Fate =
  /** They go on until they end by themselves. */
  | { readonly kind: 'kept' }
  /** They go on for so long, then they end. */
  | { readonly kind: 'ended'; readonly afterMs: number }
  /** They are lost. A client that sends something learns it from a reset within this time. */
  | { readonly kind: 'told'; readonly withinMs: number }
  /** They are lost. A client may learn it only by its own timeout. */
  | { readonly kind: 'cut' }

/** After a crash: the peers forget an old holder after 1.5 s without an announcement, then a client's next retransmission is answered. */
const TOLD_WITHIN_MS = 3500
/** A hung haproxy is given 5 s before its connections are ended. */
const HANG_TOLD_WITHIN_MS = 6000

/** Of a server that can keep connections. `moves`: whether another server takes the address over. */
export function fateOf(cluster: Pick<Cluster, 'openConnections' | 'stopTimeoutMs'>, cause: MoveCause, moves: boolean): Fate {
  if (cluster.openConnections === 'reset' || !moves) return { kind: 'cut' }
  switch (cause) {
    case 'keepalived-stop':
      return { kind: 'kept' }
    case 'haproxy-stop':
      return cluster.stopTimeoutMs === 0 ? { kind: 'cut' } : { kind: 'ended', afterMs: cluster.stopTimeoutMs }
    case 'haproxy-kill':
    case 'server-dead':
      return { kind: 'told', withinMs: TOLD_WITHIN_MS }
    case 'haproxy-hang':
      return { kind: 'told', withinMs: HANG_TOLD_WITHIN_MS }
  }
}

/** What a stop of haproxy does to connections that a server keeps: the end of a sentence about them. */
export function stopWords({ stopTimeoutMs }: Pick<Cluster, 'stopTimeoutMs'>): string {
  return `they have ${stopTimeoutMs / 1000} s (stop_timeout), then haproxy ends them`
}

/** "ended after 20 s": a column of `hactl check`, which leaves little room in 80 columns. */
export function fateWords(fate: Fate): string {
  switch (fate.kind) {
    case 'kept':
      return 'kept'
    case 'ended':
      return `ended after ${fate.afterMs / 1000} s`
    case 'told':
      return `reset within ${fate.withinMs / 1000} s`
    case 'cut':
      return 'cut'
  }
}
