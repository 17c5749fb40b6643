/** How every command that works on servers begins: get into all of them, look at them, tell what was seen. */
import type { EngineEvent } from '../engine/events.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import { assertAllIn, type ConnectOptions, type Connections, targetsOf, withConnections } from './connect.ts'
import type { LoadedCluster } from './load.ts'
import { observeAndTell } from './observe-cluster.ts'

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
      assertAllIn(connections.failures)
      const nodes = [...connections.sessions.keys()].flatMap(name => observed.get(name) ?? [])
      return work({ connections, observed, nodes })
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}
