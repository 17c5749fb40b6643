import type { Cluster } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import { GENERATED_LINE } from '../paths.ts'
import { placesOf } from './places.ts'

/** /usr/local/lib/hactl/open-connections.nft: the rules of one server. Pure. */
export function renderOpenConnectionsRules(cluster: Cluster, serverName: string, facts: NodeFacts): string {
  return `${GENERATED_LINE}\n# ${placesOf(cluster, serverName, facts).length}\n`
}
