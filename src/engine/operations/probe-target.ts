/** What a drill asks through a virtual address. */
import { isIP } from 'node:net'
import { canonicalAddress } from '../../domain/addresses.ts'
import type { Cluster, Instance } from '../../domain/cluster-types.ts'
import { HactlError } from '../../errors.ts'
import type { ProbeTarget } from '../../ports.ts'
import { PROBE_LIMIT_MS } from '../limits.ts'

/**
 * The cluster's own probe on the instance's first address, or a URL in its place. A name in a URL is sent along (Host, SNI), but the probe
 * goes to the virtual address. A URL with an IP address goes there: it must be an address of the cluster. Throws E_USAGE.
 */
export function probeTargetFor(cluster: Cluster, instance: Instance, url: string | undefined): ProbeTarget {
  const address = instance.virtualAddresses[0]?.address ?? ''
  const { port, kind, path, host, status } = cluster.probe
  if (url === undefined) return { address, port, kind, path, host, status, timeoutMs: PROBE_LIMIT_MS }
  const parsed = urlOf(url)
  const isHttps = parsed.protocol === 'https:'
  const hostname = parsed.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(hostname) !== 0) assertVirtual(hostname, cluster)
  return {
    address: isIP(hostname) === 0 ? address : hostname,
    port: parsed.port === '' ? (isHttps ? 443 : 80) : Number(parsed.port),
    kind: isHttps ? 'https' : 'http',
    path: `${parsed.pathname}${parsed.search}`,
    host: parsed.host,
    status: undefined,
    timeoutMs: PROBE_LIMIT_MS,
  }
}

/** Any other address keeps answering through a failover: every drill would pass. */
function assertVirtual(hostname: string, cluster: Cluster): void {
  const own = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const asked = canonicalAddress(hostname)?.address
  if (asked !== undefined && own.includes(asked)) return
  throw new HactlError({
    code: 'E_USAGE',
    what: `--probe names ${hostname}, which is not a virtual address of this cluster`,
    why: ['a failover could not be seen from there', 'no server was contacted'],
    fix: `probe one of ${own.join(', ')}; a host name in its place is sent as the Host header to the virtual address`,
  })
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '' && url.password === '') return url
  throw new HactlError({
    code: 'E_USAGE',
    what: 'hactl cannot probe the URL of --probe',
    fix: 'give one like http://192.0.2.200/health or https://www.example.com/ (without a user name)',
  })
}

/** Where the probes come from. Throws E_USAGE for a server that the inventory does not have. */
export function probeOrigin(cluster: Cluster, from: string | undefined): string {
  const names = ['controller', ...cluster.servers.map(server => server.name)]
  if (from === undefined || names.includes(from)) return from ?? 'controller'
  throw new HactlError({
    code: 'E_USAGE',
    what: `--from names ${from}, which the inventory does not have`,
    fix: `one of: ${names.join(', ')}`,
  })
}
