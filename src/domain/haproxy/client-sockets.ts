import type { Cluster } from '../cluster-types.ts'
import { clientPorts } from './read.ts'

/**
 * The sockets of haproxy's own clients, for ss(8): "( sport = :80 or ( sport >= :8000 and sport <= :8010 ) )". An SSH session to the same address is
 * none of them. Empty where haproxy.cfg does not say all of its ports: then every port counts.
 */
export function clientSocketFilter(cluster: Cluster): string {
  const ports = clientPorts(cluster.haproxyConfig.text) ?? []
  if (ports.length === 0) return ''
  const each = ports.map(({ port, lastPort }) =>
    port === lastPort ? `sport = :${port}` : `( sport >= :${port} and sport <= :${lastPort} )`,
  )
  return `( ${[...new Set(each)].join(' or ')} )`
}
