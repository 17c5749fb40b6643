import type { Cluster } from '../domain/cluster-types.ts'
import { clusterIssues } from '../domain/vrrp/cluster-issues.ts'
import { HactlError } from '../errors.ts'
import { issueLine } from './load.ts'

/** Throws E_NEVER_FAILS_OVER (3), before any server is contacted, for a cluster that can never fail over. */
export function assertCanFailOver(cluster: Cluster): void {
  const { errors } = clusterIssues(cluster)
  if (errors.length === 0) return
  throw new HactlError({
    code: 'E_NEVER_FAILS_OVER',
    what: 'this cluster can never fail over as it is written; no server was contacted',
    why: errors.map(issueLine),
    fix: 'hactl check shows which server becomes master for every set of failed servers',
  })
}
