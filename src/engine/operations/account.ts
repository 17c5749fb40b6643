/** What came of an errand, as the report and the command line show it. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { refusedVerdict, splitVerdict } from '../../domain/failover/unjudged.ts'
import type { DrillCase, Verdict } from '../../domain/failover/verdict.ts'
import { SERVICE_JOURNAL } from '../../domain/journal.ts'
import type { Ports, ProbeTarget } from '../../ports.ts'
import type { DrillAccount } from '../../report/record.ts'
import type { ServerJournal } from '../../state/drill.ts'
import { readJournal } from '../journal.ts'
import type { AtRest } from './at-rest.ts'
import { addressOf, type Errand } from './errand.ts'
import type { Run } from './run.ts'
import { withoutPasswords } from './without-passwords.ts'

export interface CarriedOut extends DrillAccount {
  /** It was refused for the state of the cluster, not for what this drill alone needs. */
  readonly isUnhealthy: boolean
  /** It was not carried out to its end: what ended it, after the undo. */
  readonly fault?: { readonly thrown: unknown }
}

/** A drill that was not started, for `reasons`. `whom`: what was known of it by then. */
export function refused(run: Pick<Run, 'onEvent'>, errand: Errand, whom: Partial<DrillCase>, reasons: readonly string[]): CarriedOut {
  const verdict = refusedVerdict({ drill: errand.drill.name, vip: addressOf(errand), ...whom }, reasons)
  return unstarted(errand, told(run, verdict))
}

/** What a cluster that is not at rest gets in place of a drill: a split one has failed already, any other is refused. */
export function notStarted(run: Pick<Run, 'onEvent'>, errand: Errand, { refusals, splits }: AtRest): CarriedOut {
  const { name, virtualAddresses } = errand.instance
  const split = splits.find(({ instance, vip }) => instance === name && virtualAddresses.some(({ address }) => address === vip))
  if (split === undefined) return refused(run, errand, {}, refusals)
  return unstarted(errand, told(run, splitVerdict({ drill: errand.drill.name, vip: split.vip }, split)))
}

/** A drill that was not started has nothing but its verdict. */
function unstarted(errand: Errand, verdict: Verdict): CarriedOut {
  const { drill, target } = errand
  return { title: drill.title, verdict, about: undefined, asked: askedOf(target), samples: [], journals: [], isUnhealthy: true }
}

/** The verdict, once it is sent as an event. */
export function told({ onEvent }: Pick<Run, 'onEvent'>, verdict: Verdict): Verdict {
  const { drill, vip, to, outageMs, failbackOutageMs = 0, failedProbes, probes } = verdict
  const outcome = `${to === undefined ? 'nobody' : to} took over, ${failedProbes} of ${probes} probes lost`
  const back = failbackOutageMs === 0 ? '' : `, ${failbackOutageMs} ms on the way back`
  const seen = outageMs === undefined ? outcome : `${outcome}, ${outageMs} ms without an answer${back}`
  onEvent({
    kind: 'drill-verdict',
    drill,
    vip,
    verdict: verdict.verdict,
    title: verdict.verdict === 'passed' ? seen : (verdict.reasons[0] ?? seen),
  })
  return verdict
}

/** What was asked, without the query: it may hold a secret. */
export function askedOf({ kind, address, port, path }: ProbeTarget): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${kind}://${host}:${port}${kind === 'tcp' ? '' : path.replace(/[?#].*$/, '')}`
}

/** What all servers logged since `beganMs` of the monotonic clock, without the passwords that the inventory knows. */
export async function readJournals({ cluster, links, ports }: Journaled, beganMs: number): Promise<readonly ServerJournal[]> {
  const windowMs = ports.clock.monotonic() - beganMs
  const journals = await Promise.all(
    links.servers.map(server => readJournal(links.current(server), SERVICE_JOURNAL, windowMs, ports.signal)),
  )
  return journals.map(journal => ({
    ...journal,
    lines: journal.lines.map(line => ({ ...line, message: withoutPasswords(cluster, line.message) })),
  }))
}

interface Journaled extends Pick<Run, 'links'> {
  readonly cluster: Pick<Cluster, 'instances'>
  readonly ports: Pick<Ports, 'clock' | 'signal'>
}
