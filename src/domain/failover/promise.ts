/** Whether a cluster promises that a drill cuts no open connection. */
import type { Cluster } from '../cluster-types.ts'
import type { ObservedNode } from '../../state/observed.ts'

/** What an operator does on purpose too, and after which the old holder can go on serving whom it knows. */
const PLANNED: readonly string[] = ['stop-haproxy', 'stop-keepalived', 'reload-haproxy-repeatedly', 'reboot']

/** `open_connections: keep`; without the key nothing is promised. */
type Keeping = Pick<Cluster, 'profile'> & { readonly openConnections?: 'keep' | 'reset' }
/** Whether the server's kernel and packet filter can keep them; unknown counts as able. */
type Able = Pick<ObservedNode, 'server'> & { readonly openConnections?: { readonly ability: { readonly kind: string } } }

/** `disturb`: the word of the drill's file. A crash, profile classic and servers that cannot keep connections promise nothing. */
export function keepsConnections(cluster: Keeping, nodes: readonly Able[], disturb: string): boolean {
  return (
    cluster.profile === 'fast' &&
    cluster.openConnections === 'keep' &&
    PLANNED.includes(disturb) &&
    nodes.every(({ openConnections }) => openConnections === undefined || openConnections.ability.kind === 'able')
  )
}
