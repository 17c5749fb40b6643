/** The verdicts of drills that could not be judged: refused, on a cluster that was split already, or ended by a fault of the run itself. */
import { eachOf, type HactlError, linesOf } from '../../errors.ts'
import type { Sample } from '../../state/drill.ts'
import type { SplitBrain } from './drill.ts'
import { judgeDrill } from './judge.ts'
import { markAt, probesOf } from './timeline.ts'
import type { DrillCase, Verdict } from './verdict.ts'

/** A drill that was refused because of the state of the cluster. */
export function refusedVerdict(about: Pick<DrillCase, 'drill' | 'vip'> & Partial<DrillCase>, reasons: readonly string[]): Verdict {
  return {
    drill: about.drill,
    vip: about.vip,
    verdict: 'refused',
    from: about.from,
    predicted: about.predicted,
    to: undefined,
    outageMs: undefined,
    failedProbes: 0,
    probes: 0,
    holdersMax: 0,
    failback: undefined,
    failbackOutageMs: undefined,
    restored: true,
    reasons,
    findings: reasons.map(text => ({ code: 'E_UNHEALTHY', text })),
    notes: [],
  }
}

/** A cluster that is split before anything is disturbed: its failover has failed already, and no drill is needed to see that. */
export function splitVerdict(about: Pick<DrillCase, 'drill' | 'vip'>, { instance, vip, servers }: SplitBrain): Verdict {
  const texts = [
    `${servers.join(' and ')} are ${servers.length === 2 ? 'both' : 'all'} master of ${instance} and hold ${vip}: they do not hear each other (does something drop VRRP, IP protocol 112, between them?)`,
    'it was so before the drill; nothing was disturbed',
  ]
  return {
    ...refusedVerdict(about, texts),
    verdict: 'failed',
    holdersMax: servers.length,
    findings: texts.map(text => ({ code: 'E_TWO_MASTERS', text })),
  }
}

/**
 * A drill that ended in a fault: an interrupt, a lost connection, an undo that could not be confirmed. Its figures are from what was
 * seen until then. A drill that ended before its disturbance counts as refused.
 */
export function brokenOffVerdict(about: DrillCase, samples: readonly Sample[], fault: HactlError): Verdict {
  const reasons = linesOf(fault)
  const findings = eachOf(fault).flatMap(error => linesOf(error).map(text => ({ code: error.code, text })))
  if (markAt(samples, 'disturbed') === undefined) {
    const probes = probesOf(samples)
    const failedProbes = probes.filter(probe => !probe.ok).length
    return { ...refusedVerdict(about, reasons), findings, probes: probes.length, failedProbes }
  }
  return {
    ...judgeDrill(about, { samples, before: [], after: [] }),
    verdict: 'failed',
    // The address was not watched for long enough to know where it stays.
    failback: undefined,
    failbackOutageMs: undefined,
    restored: fault.code !== 'E_UNDO_FAILED',
    reasons,
    findings,
  }
}
