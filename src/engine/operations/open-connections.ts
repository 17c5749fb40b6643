import type { Cluster } from '../../domain/cluster-types.ts'
import { clientSocketFilter } from '../../domain/haproxy/client-sockets.ts'
import type { Session } from '../../ports.ts'
import { shWith } from '../../shell/sh.ts'

const call = shWith('count-connections.sh')

/** haproxy's clients that are connected to a virtual address right now; undefined where the server cannot count them. */
export async function connectionsOn(session: Session, cluster: Cluster, address: string, signal: AbortSignal): Promise<number | undefined> {
  const source = address.includes(':') ? `[${address}]` : address
  const result = await session.run(call`count_connections ${source} ${clientSocketFilter(cluster)}`, {
    effect: 'none',
    label: 'count the open connections',
    deadlineMs: 10_000,
    signal,
  })
  return result.code === 0 && /^\d+\n$/.test(result.stdout) ? Number(result.stdout) : undefined
}
