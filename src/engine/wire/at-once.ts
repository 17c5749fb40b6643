/** Asks all servers at the same time what they hear from each other. */
import type { Script } from '../../ports.ts'
import { joinScripts, sh, shWith } from '../../shell/sh.ts'
import type { Links } from '../links.ts'

const atOnce = shWith('at-once.sh')

/** How long servers listen: at least long enough for a router that speaks once a second, and at most where a peer is silent. */
export interface WireTimes {
  readonly leastMs: number
  readonly mostMs: number
}

/** What a server is asked about the networks that it shares with others: one answer for each, undefined where it could not be tried. */
export interface WireQuestion<Link, Report> {
  /** For the log of commands. */
  readonly label: string
  readonly script: (links: readonly Link[], mark: string, times: WireTimes) => Script
  readonly parse: (stdout: string, links: readonly Link[]) => readonly (Report | undefined)[]
}

/** Runs one probe for each network of a server, all at once. A probe is one command; every line of its answer starts with the number of its network. */
export function sideBySide(probes: readonly Script[]): Script {
  return joinScripts([...probes.map((probe, index) => atOnce`numbered ${index} ${probe}`), sh`wait`])
}

const GRACE_MS = 15_000

/** One question to all servers. */
interface Asking<Link, Report> {
  readonly links: Links
  /** The networks of a server; a server without any is not asked. */
  readonly linksOf: (server: string) => readonly Link[]
  readonly question: WireQuestion<Link, Report>
  /** What is in the packets of this run only. */
  readonly mark: string
  readonly times: WireTimes
  readonly signal: AbortSignal
}

/** Lets all servers speak to each other at the same time, once. Changes nothing on them. Throws what Session.run throws. */
export async function askAtOnce<Link, Report>({
  links,
  linksOf,
  question: { label, script, parse },
  mark,
  times,
  signal,
}: Asking<Link, Report>): Promise<ReadonlyMap<string, readonly (Report | undefined)[]>> {
  const answers = await Promise.all(
    links.servers.map(async server => {
      const wires = linksOf(server)
      if (wires.length === 0) return [server, []] as const
      const session = links.current(server)
      const { stdout } = await session.run(script(wires, mark, { ...times, mostMs: times.mostMs * session.patience }), {
        effect: 'none',
        label,
        deadlineMs: times.mostMs + GRACE_MS,
        signal,
      })
      return [server, parse(stdout, wires)] as const
    }),
  )
  return new Map(answers)
}
