/**
 * How every command that works on a cluster begins: get into all servers that --limit leaves, look at them, tell what was seen.
 * Not so what must also do its work where a server is dead or not yet known: status (an unreachable server is part of its answer), unlock
 * and history (they look at something else), import (it has no inventory yet). They go by withConnections.
 */
import type { EngineEvent } from '../engine/events.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import { type ConnectOptions, type Connections, targetsOf, withConnections } from './connect.ts'
import type { LoadedCluster } from './load.ts'
import { observeAndTell } from '../engine/operations/look.ts'

export interface LookedAt {
  readonly connections: Connections
  readonly observed: ReadonlyMap<string, ObservedNode>
  /** The same in the inventory's order. */
  readonly nodes: readonly ObservedNode[]
}

/**
 * `work` begins once every server that --limit leaves was reached and looked at; the connections are closed on every way out.
 * Throws what connecting and looking throw, of all servers together.
 */
export async function withServers<T>(
  loaded: LoadedCluster,
  input: ConnectOptions,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
  work: (servers: LookedAt) => Promise<T>,
): Promise<T> {
  return withConnections(
    await targetsOf(loaded, input, ports, text => onEvent({ kind: 'warning', text })),
    input.forks,
    ports,
    session => observeAndTell(session, loaded.cluster, ports.clock, onEvent, ports.signal),
    async (connections, observed) => {
      throwAll(connections.failures)
      return work({ connections, observed, nodes: [...observed.values()] })
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}
