import { isHeld } from '../../domain/addresses.ts'
import type { Cluster } from '../../domain/cluster-types.ts'
import { CHECK_SCRIPT, DRAIN_TMPFILES_CONF, FIREWALL_SCRIPT, MANAGED_PATHS, SERVICE_HOOKS } from '../../domain/paths.ts'
import { kernelParameters } from '../../domain/desired.ts'
import { TRACKER_FILES } from '../../domain/trackers.ts'
import { keepalivedLook } from '../../domain/keepalived/look.ts'
import { openConnectionsLook } from '../../domain/open-connections/look.ts'
import { joinScripts } from '../../shell/sh.ts'
import { observeNode } from '../observe.ts'
import type { ProbeRequest } from '../observe/script.ts'
import type { Ports, Session } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import { asHactlError } from '../../errors.ts'
import type { OnEvent, Run } from './run.ts'

/** A run that has looked at each of its servers. */
export interface Looked extends Run {
  /** What the first look saw, by server, in the inventory's order. */
  readonly observed: ReadonlyMap<string, ObservedNode>
  /** The same as a list. */
  readonly nodes: readonly ObservedNode[]
}

/** What every look at a server of this cluster asks for. */
export function probeRequestFor(cluster: Cluster): ProbeRequest {
  return {
    packages: ['haproxy', 'keepalived'],
    paths: [...MANAGED_PATHS, DRAIN_TMPFILES_CONF, ...cluster.certificates.map(({ path }) => path)],
    units: ['haproxy', 'keepalived'],
    sysctls: kernelParameters(cluster),
    look: serviceLook(cluster),
    checkScript: CHECK_SCRIPT,
    programs: programsOf(cluster),
    virtualAddresses: cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address)),
  }
}

/** What the services of this cluster are asked, one after the other, in one look. */
function serviceLook(cluster: Cluster): ProbeRequest['look'] {
  const keepalived = keepalivedLook(Object.values(TRACKER_FILES))
  const connections = openConnectionsLook(cluster)
  return {
    ask: keepalived.ask,
    said: joinScripts([keepalived.said, connections.said]),
    parse: section => ({ ...keepalived.parse(section), ...connections.parse(section) }),
  }
}

/** Every program of hactl's that this cluster has root run. */
function programsOf({ profile, firewall }: Cluster): readonly string[] {
  return [CHECK_SCRIPT, ...(profile === 'fast' ? [SERVICE_HOOKS] : []), ...(firewall === 'open' ? [FIREWALL_SCRIPT] : [])]
}

/** Looks at one server and sends events about it. `what`: all that matters in a cluster, or exactly this. Throws what observeNode throws. */
export async function observeAndTell(
  session: Session,
  what: Cluster | ProbeRequest,
  { ports: { clock, signal }, onEvent }: { readonly ports: Pick<Ports, 'clock' | 'signal'>; readonly onEvent: OnEvent },
): Promise<ObservedNode> {
  const startedMs = clock.monotonic()
  try {
    const seen = await observeNode(session, 'instances' in what ? probeRequestFor(what) : what, signal)
    const { clockMs } = seen.facts
    const node = clockMs === undefined ? seen : { ...seen, clockAheadMs: clockMs - clock.now() }
    onEvent({ kind: 'observed', server: session.server, durationMs: clock.monotonic() - startedMs, detail: summaryOf(node) })
    return node
  } catch (error) {
    const known = asHactlError(error)
    onEvent({ kind: 'observe-failed', server: session.server, durationMs: clock.monotonic() - startedMs, detail: known.message })
    throw error
  }
}

function summaryOf(node: ObservedNode): string {
  const versions = Object.entries(node.packages).map(([name, known]) =>
    known.installed === undefined ? `no ${name}` : `${name} ${known.installed}`,
  )
  return [node.facts.os.pretty, ...versions].join(', ')
}

/** The servers that hold the address, as each of them says of itself. */
export function holdersOf(nodes: Iterable<ObservedNode>, address: string): string[] {
  return [...nodes].filter(node => isHeld(node.facts.addresses, address)).map(node => node.server)
}
