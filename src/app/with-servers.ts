/**
 * How every command that works on a cluster begins: it connects to all servers that --limit leaves, looks at them and reports what it saw.
 * Some commands must also work where a server is dead or not yet known, and use withConnections instead. These are status (an unreachable
 * server is part of its answer), unlock and history (they look at something else), and import (it has no inventory yet).
 */
import { type Looked, observeAndTell } from '../engine/operations/look.ts'
import type { OnEvent } from '../engine/operations/run.ts'
import { throwAll } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { type ConnectOptions, targetsOf, withConnections } from './connect.ts'
import type { LoadedCluster } from './load.ts'
import { lockClaim } from './lock-claim.ts'

/**
 * `work` starts when every server that --limit leaves was reached and looked at. The connections are closed on every way out. `command`
 * stands in the lock, where `work` takes it. Throws what connecting and looking throw, of all servers together.
 */
export async function withServers<T>(
  { cluster, ...loaded }: LoadedCluster,
  input: ConnectOptions,
  { command, ports, onEvent }: { readonly command: string; readonly ports: Ports; readonly onEvent: OnEvent },
  work: (run: Looked) => Promise<T>,
): Promise<T> {
  return withConnections(
    await targetsOf(loaded, input, ports, text => onEvent({ kind: 'warning', text })),
    { forks: input.forks, ports, onConnecting: server => onEvent({ kind: 'observe-started', server }) },
    session => observeAndTell(session, cluster, { ports, onEvent }),
    async ({ links, failures }, observed) => {
      throwAll(failures)
      const claim = () => lockClaim(command, ports)
      return work({ cluster, links, ports, onEvent, claim, observed, nodes: [...observed.values()] })
    },
  )
}
