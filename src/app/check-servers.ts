import type { EngineEvent } from '../engine/events.ts'
import type { PreflightRow } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { assertAllIn, type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import { loadCluster } from './load.ts'
import { observeAndTell } from './observe-cluster.ts'
import { assertNothingFailed, CHECK_WIRE, preflightFindings, rowsOf, wirePreflight } from './preflight.ts'

export interface CheckServersInput extends ConnectOptions {
  readonly inventoryPath: string
}

/** Everything that a deploy would look at before it changes anything, on all servers; changes nothing. Throws PreflightErrors with the table. */
export async function checkServers(
  input: CheckServersInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Promise<readonly PreflightRow[]> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  const targets = await targetsOf(loaded, input, ports)
  return withConnections(
    targets,
    input.forks,
    ports,
    session => observeAndTell(session, loaded.cluster, ports.clock, onEvent, ports.signal),
    async (connections, observed) => {
      assertAllIn(connections.failures)
      const nodes = [...connections.sessions.keys()].flatMap(name => observed.get(name) ?? [])
      const seen = preflightFindings(loaded.cluster, nodes, { minded: 'no-locks' })
      const findings = await wirePreflight(loaded.cluster, nodes, connections.sessions, ports, CHECK_WIRE, seen)
      assertNothingFailed(findings, () => {})
      return rowsOf(findings)
    },
    server => onEvent({ kind: 'observe-started', server }),
  )
}
