/** Whether a server keeps open connections: what the inventory wants, where the server can do it. */
import type { ObservedNode } from '../../state/observed.ts'
import type { ObservedOpenConnections } from '../../state/open-connections.ts'
import type { Cluster } from '../cluster-types.ts'
import { OPEN_CONNECTIONS_SERVICE } from '../paths.ts'

export type Mode =
  | { readonly kind: 'keep' }
  /** `why`: where the inventory wants keep, what this server lacks, in an operator's words. */
  | { readonly kind: 'reset'; readonly why?: string }

/** The package that hactl installs on a server that only lacks it. */
export const NFTABLES = 'nftables'

type Wanted = Pick<Cluster, 'openConnections'> & { readonly packages: Pick<Cluster['packages'], 'carried'> }

/** `node`: what was seen of the server; undefined where it was not looked at: then it is taken for one that can. */
export function modeOf(cluster: Wanted, node: Pick<ObservedNode, 'openConnections'> | undefined): Mode {
  if (cluster.openConnections === 'reset') return { kind: 'reset' }
  if (node === undefined) return { kind: 'keep' }
  const ability = node.openConnections?.ability
  if (ability === undefined) return { kind: 'reset', why: 'it was not asked whether it can' }
  if (ability.kind === 'unable') return { kind: 'reset', why: ability.why }
  const { carried } = cluster.packages
  const isBrought = carried?.files?.some(file => file.startsWith(`${NFTABLES}_`)) ?? true
  if (ability.kind === 'able' || isBrought) return { kind: 'keep' }
  return { kind: 'reset', why: `${NFTABLES} is not installed, and ${carried?.folder ?? 'packages.from'} has no ${NFTABLES}_*.deb` }
}

/** Why the service does not keep open connections as deployed; undefined where it does. */
export function serviceProblem(observed: ObservedOpenConnections | undefined): string | undefined {
  const service = observed?.service
  if (service === undefined) return `${OPEN_CONNECTIONS_SERVICE} is not there yet`
  if (!service.isRunning) return `${OPEN_CONNECTIONS_SERVICE} does not run`
  if (service.hasRules === false) return `${OPEN_CONNECTIONS_SERVICE} has not loaded its rules`
  if (service.refused !== undefined)
    return `${OPEN_CONNECTIONS_SERVICE} works with older rules, its present ones are refused: ${service.refused}`
  if (service.unarmed.length > 0) return `${OPEN_CONNECTIONS_SERVICE} could not prepare this server for ${service.unarmed.join(', ')}`
  return service.isOutdated ? `${OPEN_CONNECTIONS_SERVICE} has not loaded its present files` : undefined
}
