import type { EngineEvent } from '../engine/events.ts'
import type { PreflightRow } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { ConnectOptions } from './connect.ts'
import { loadCluster } from './load.ts'
import { assertNothingFailed, CHECK_WIRE, preflightFindings, rowsOf, wirePreflight } from '../engine/operations/preflight.ts'
import { withServers } from './with-servers.ts'

export interface CheckServersInput extends ConnectOptions {
  readonly inventoryPath: string
}

/** Looks at all that a deploy looks at beforehand, on all servers. Changes nothing. Throws PreflightErrors with the table. */
export async function checkServers(
  input: CheckServersInput,
  ports: Ports,
  onEvent: (event: EngineEvent) => void,
): Promise<readonly PreflightRow[]> {
  const loaded = await loadCluster(input.inventoryPath, ports)
  return withServers(loaded, input, { command: 'check', ports, onEvent }, async run => {
    const seen = preflightFindings(run.cluster, run.nodes, { minded: 'no-locks' })
    const findings = await wirePreflight(run, CHECK_WIRE, seen)
    assertNothingFailed(findings, () => {})
    return rowsOf(findings)
  })
}
