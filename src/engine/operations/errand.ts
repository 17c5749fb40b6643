/** What verify-failover is sent to do: every drill on every virtual address, where each happens, and what is said of it beforehand. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { endsConnections, keepsConnections } from '../../domain/failover/promise.ts'
import { expectationFor, expectationOn, expectationText, predictLast } from '../../domain/failover/drill.ts'
import { stopWords } from '../../domain/open-connections/fate.ts'
import { worstCaseOutage } from '../../domain/vrrp/outage.ts'
import type { ProbeTarget } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { DrillExpectation, DrillFile } from '../../state/drill.ts'
import { holdersOf } from './look.ts'
import { connectionsOn } from './open-connections.ts'
import { probeTargetFor } from './probe-target.ts'
import type { Run } from './run.ts'

/** One drill on one virtual address, with the bound it is judged by. */
export interface Errand {
  readonly drill: DrillFile
  /** What this cluster's profile and the instance's adverts allow. */
  readonly expect: DrillExpectation
  readonly instance: Cluster['instances'][number]
  readonly target: ProbeTarget
  readonly maxOutageMs: number | undefined
  /** Why check predicts no takeover, where it predicts none. */
  readonly foretold: string | undefined
  /** "controller" or names of servers. */
  readonly origins: readonly string[]
  /** The servers' journals are read for a report only. */
  readonly isReported: boolean
}

export interface ErrandWishes extends Pick<Errand, 'origins' | 'isReported'> {
  /** In ms; undefined: the worst case that check predicts, and a tenth more. */
  readonly maxOutageMs: number | undefined
  /** URL to ask instead of the inventory's probe. */
  readonly probe: string | undefined
}

/** Every drill on every instance, drill by drill. Throws E_USAGE for a probe that asks no address of this cluster. */
export function errandsFor(cluster: Cluster, drills: readonly DrillFile[], wishes: ErrandWishes): readonly Errand[] {
  const bounds = worstCaseOutage(cluster)
  const { origins, isReported } = wishes
  return drills.flatMap(drill =>
    cluster.instances.map(instance => {
      const expect = expectationOn(instance, expectationFor(drill, cluster.profile))
      const bound = bounds.find(known => known.event === expect.event)
      const worstMs = bound?.worstMs
      return {
        drill,
        expect,
        instance,
        target: probeTargetFor(cluster, instance, wishes.probe),
        maxOutageMs: wishes.maxOutageMs ?? (worstMs === undefined ? undefined : Math.ceil(worstMs * 1.1)),
        // No bound: what check says of it is why no server takes over.
        foretold: bound !== undefined && worstMs === undefined ? bound.how : undefined,
        origins,
        isReported,
      }
    }),
  )
}

/** Where a drill happens and which server should have the address then. */
export interface ErrandPlace {
  /** undefined where hactl cannot tell. */
  readonly server: string | undefined
  readonly predicted: string | undefined
  /** How many servers are disturbed, one after the other. */
  readonly rounds: number
}

/** `from`: the server that holds the address. */
export function placeOf({ drill, instance }: Errand, nodes: readonly ObservedNode[], from: string): ErrandPlace {
  switch (drill.on) {
    case 'holder':
      return { server: from, predicted: predictLast(nodes, instance.name, from, 1), rounds: 1 }
    case 'next': {
      const next = predictLast(nodes, instance.name, from, 1)
      return { server: next, predicted: next, rounds: 1 }
    }
    case 'each-holder': {
      const rounds = Math.max(1, nodes.length - 1)
      return { server: from, predicted: predictLast(nodes, instance.name, from, rounds), rounds }
    }
  }
}

export function addressOf(errand: Errand): string {
  return errand.instance.virtualAddresses[0]?.address ?? ''
}

export interface DrillAnnouncement {
  readonly drills: readonly AnnouncedDrill[]
  /** connections: open right now through this address; undefined where they could not be counted. */
  readonly vips: readonly { readonly address: string; readonly holder: string; readonly connections: number | undefined }[]
  /** The longest interruption this may cause, in ms; undefined where unknown. */
  readonly worstMs: number | undefined
  /** The drills that end connections of clients, and what these have until then; undefined where there are none. */
  readonly ends: { readonly drills: readonly string[]; readonly fate: string } | undefined
}

interface AnnouncedDrill {
  readonly drill: string
  readonly server: string
  readonly title: string
  /** What must be seen for it to pass, in one line. */
  readonly expects: string
}

/** What the operator is asked to confirm; `nodes`: the servers as they are now. Throws what counting the connections throws. */
export async function announcementOf(
  { cluster, links, ports }: Run,
  errands: readonly Errand[],
  nodes: readonly ObservedNode[],
): Promise<DrillAnnouncement> {
  const holderOf = (address: string) => holdersOf(nodes, address)[0] ?? ''
  const addresses = [...new Set(errands.map(addressOf))]
  const bounds = errands.map(errand => errand.maxOutageMs)
  const ending = errands.filter(errand => {
    const node = nodes.find(({ server }) => server === holderOf(addressOf(errand)))
    return node !== undefined && endsConnections(cluster, node, errand.drill.disturb)
  })
  return {
    drills: errands.map(errand => {
      const from = holderOf(addressOf(errand))
      const { server, predicted } = placeOf(errand, nodes, from)
      const expects = expectationText(
        errand.expect,
        errand.maxOutageMs,
        predicted,
        from,
        keepsConnections(cluster, nodes, errand.drill.disturb),
      )
      return { drill: errand.drill.name, server: server ?? from, title: errand.drill.title, expects }
    }),
    vips: await Promise.all(
      addresses.map(async address => {
        const holder = holderOf(address)
        const connections = links.servers.includes(holder)
          ? await connectionsOn(links.current(holder), cluster, address, ports.signal)
          : undefined
        return { address, holder, connections }
      }),
    ),
    worstMs: bounds.every(ms => ms !== undefined) ? Math.max(...bounds) : undefined,
    ends: ending.length === 0 ? undefined : { drills: [...new Set(ending.map(({ drill }) => drill.name))], fate: stopWords(cluster) },
  }
}
