/** Where the traffic comes from: a network namespace on the lab's network. Its backend is there as well. */
import { join } from 'node:path'
import type { LabFile } from '../../support/lab.ts'
import { binFolder } from '../../support/places.ts'
import { MINUTE_MS, Stop } from '../../support/process.ts'
import { type Helper, openNamespace } from '../client-namespace.ts'
import { inside } from '../failover-lab.ts'
import { type End, figuresOf, type TrafficFigures } from './figures.ts'
import type { Load, TrafficSeen } from './traffic-figures.ts'

/** A transfer's grace and the last answers. */
const END_LIMIT_MS = 2 * MINUTE_MS

/** Addresses of the lab's network. The IPv6 one is of RFC 5180's range for benchmarks, and only on its bridge. */
export function addressesOf(lab: LabFile) {
  const six = (last: number) => `2001:2:0:${lab.prefix.split('.')[2]}::${last}`
  return { client: `${lab.prefix}.240`, backend: `${lab.prefix}.241`, secondVip: `${lab.prefix}.201`, six, vip6: six(200) }
}

export interface TrafficPlace {
  /** Starts the load and resolves once all of it flows. */
  start(load: Load): Promise<Traffic>
  close(): Promise<void>
}

interface Traffic {
  /** Lets transfers end and counts what the event that began at `eventMs` (since 1970) did. Rejects where the traffic's program died. */
  stop(eventMs: number): Promise<TrafficFigures>
  abandon(): void
}

const program = (name: string) => join(import.meta.dirname, name)

/** Makes the namespace, with `ipv6` gives it and the servers IPv6 addresses, and starts the backend. */
export async function openPlace(lab: LabFile, { ipv6 }: { readonly ipv6: boolean }): Promise<TrafficPlace> {
  const { client, backend, six } = addressesOf(lab)
  const within = await openNamespace(lab, [`${client}/24`, `${backend}/24`, ...(ipv6 ? [`${six(240)}/64`] : [])])
  const node = join(binFolder, 'node')
  let server: Helper
  try {
    if (ipv6) await giveIpv6(lab)
    server = within.start(node, program('backend-process.ts'), backend)
    await server.ready('the backend')
  } catch (error) {
    await within.remove()
    throw error
  }
  return {
    async start(load) {
      const cards = await cardsOf(lab)
      const ends = within.start('perl', program('ends.pl'), 'eth0')
      await ends.ready('the watch of the wire')
      const traffic = within.start(node, program('traffic-process.ts'), JSON.stringify(load))
      try {
        await traffic.ready('the traffic')
      } catch (error) {
        ends.kill()
        throw error
      }
      return {
        async stop(eventMs) {
          await traffic.end(END_LIMIT_MS)
          await ends.end(5000)
          const last = traffic.lines.at(-1) ?? ''
          if (!last.startsWith('{')) throw new Stop('the traffic ended without figures', last, 'run the event again')
          const seen = JSON.parse(last) as TrafficSeen
          return figuresOf(
            seen,
            ends.lines.flatMap(line => endIn(line, cards)),
            eventMs,
          )
        },
        abandon() {
          traffic.kill()
          ends.kill()
        },
      }
    },
    async close() {
      server.kill()
      await within.remove()
    },
  }
}

function endIn(line: string, cards: ReadonlyMap<string, string>): readonly End[] {
  const [ms, card, how, port] = line.split(' ')
  if (card === undefined || (how !== 'RST' && how !== 'FIN')) return []
  return [{ atMs: Number(ms), from: cards.get(card) ?? card, how, port: Number(port) }]
}

/** Again before each round: a server that was made anew has another card. */
async function cardsOf(lab: LabFile): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    lab.servers.map(async server => [(await inside(server, 'cat /sys/class/net/eth0/address')).stdout.trim(), server.name] as const),
  )
  return new Map(found)
}

/** After each boot of a server again. */
export async function giveIpv6(lab: LabFile): Promise<void> {
  const { six } = addressesOf(lab)
  for (const [at, server] of lab.servers.entries()) {
    const { code, stderr } = await inside(
      server,
      `sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.accept_dad=0 && ip -6 address replace ${six(11 + at)}/64 dev eth0 nodad`,
    )
    if (code !== 0) throw new Stop(`${server.name} has no IPv6`, stderr.trim(), 'run it on a machine whose kernel has IPv6')
  }
}
