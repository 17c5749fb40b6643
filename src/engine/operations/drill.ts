/** One drill on one virtual address: looks, announces, runs, judges. */
import { randomBytes } from 'node:crypto'
import type { Cluster } from '../../domain/cluster-types.ts'
import { disturbanceFor } from '../../domain/failover/disturbances.ts'
import { whyNobodyTook } from '../../domain/failover/diagnosis.ts'
import { drillLimits, DRILL_UNITS, expectationText, goesHome, isTakerCertain, predictLast } from '../../domain/failover/drill.ts'
import { judgeDrill } from '../../domain/failover/judge.ts'
import { baselineProblems, failbackIsSettled, nextToDisturb, secondFaults, takeoverIsSettled } from '../../domain/failover/settled.ts'
import { markAt, outageSoFar, probesOf } from '../../domain/failover/timeline.ts'
import { brokenOffVerdict, refusedVerdict, splitVerdict } from '../../domain/failover/unjudged.ts'
import type { DrillCase, Verdict } from '../../domain/failover/verdict.ts'
import { MANAGED_PATHS } from '../../domain/paths.ts'
import { TRACKER_FILES } from '../../domain/trackers.ts'
import { runConnectionKeeper } from '../connection-keeper.ts'
import { type DrillOutcome, runDrill } from '../drill.ts'
import type { DrillDecisions, DrillRun } from '../drill-run.ts'
import type { EngineEvent } from '../events.ts'
import type { Links } from '../links.ts'
import { runProber } from '../prober.ts'
import { runServerProber } from '../server-prober.ts'
import { asHactlError } from '../../errors.ts'
import type { Ports, ProbeTarget } from '../../ports.ts'
import type { DrillAccount } from '../../report/record.ts'
import type { ObservedNode } from '../../state.ts'
import type { Disturbance, DrillExpectation, DrillFile, Sample } from '../../state/drill.ts'
import { type AtRest, lookAt, settledCluster } from './at-rest.ts'
import { askedOf, emptyAccount, readJournals } from '../../app/failover-report.ts'
import { settleLimitMs } from './gates.ts'
import { holdersOf } from './look.ts'

/** One drill on one virtual address, with the bound it is judged by. */
export interface Errand {
  readonly drill: DrillFile
  /** What this cluster's profile is asked for. */
  readonly expect: DrillExpectation
  readonly instance: Cluster['instances'][number]
  readonly target: ProbeTarget
  readonly maxOutageMs: number | undefined
  /** Why check foretells no takeover, where it does not. */
  readonly foretold: string | undefined
  /** "controller" or names of servers. */
  readonly origins: readonly string[]
  /** The servers' journals are read for a report only. */
  readonly isReported: boolean
}

/** Where a drill happens and who should have the address then. */
export interface ErrandPlace {
  /** undefined where nobody can tell. */
  readonly server: string | undefined
  readonly predicted: string | undefined
  /** How many servers are disturbed, one after the other. */
  readonly rounds: number
}

/** What came of it; isUnhealthy: refused for the state of the cluster, not for what this drill alone needs. */
export interface CarriedOut extends DrillAccount {
  readonly isUnhealthy: boolean
  /** It was not carried out to its end: what ended it, after the undo. */
  readonly fault?: { readonly thrown: unknown }
}

type OnEvent = (event: EngineEvent) => void

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

/**
 * Looks at the servers as they are now, runs the drill where they are well, and judges it. What runDrill throws comes back as `fault`
 * with what was seen until then, but a baseline that is not good: that is a refusal. Throws what looking at the servers throws.
 */
export async function carryOut(
  errand: Errand,
  cluster: Cluster,
  lockId: string,
  links: Links,
  ports: Ports,
  onEvent: OnEvent,
): Promise<CarriedOut> {
  const { drill, expect, instance, maxOutageMs } = errand
  const restMs = settleLimitMs(cluster, links.patience)
  const rest = await settledCluster(await lookAt(cluster, links, ports), cluster, links, ports, onEvent, restMs)
  const { nodes } = rest
  const vip = addressOf(errand)
  const [from] = holdersOf(nodes, vip)
  if (rest.refusals.length > 0 || from === undefined) return notBegun(errand, rest, onEvent)
  const { server, predicted, rounds } = placeOf(errand, nodes, from)
  const whom = { from, predicted }
  if (server === undefined)
    return { ...refused(errand, whom, ['the server that is next in line is not known'], onEvent), isUnhealthy: false }
  const view = nodes.find(node => node.server === server)?.instances.find(own => own.name === instance.name)
  const disturbance = disturbanceFor(drill.disturb, { interface: view?.interface ?? '', vip })
  if (disturbance === undefined) return refused(errand, whom, [`there is no disturbance ${drill.disturb}`], onEvent)
  const missing = await unfitFor(errand, disturbance, server, from, links, ports)
  if (missing.length > 0) return { ...refused(errand, whom, missing, onEvent), isUnhealthy: false }
  const about: DrillCase = {
    drill: drill.name,
    vip,
    from,
    predicted,
    isTakerCertain: drill.on === 'holder' && isTakerCertain(nodes, instance),
    expect,
    maxOutageMs,
    goesHome: goesHome(nodes, instance.name, from),
    servers: links.servers,
    onEach: drill.on === 'each-holder',
    boots: disturbance.boots === true,
    foretold: errand.foretold,
  }
  const expects = expectationText(expect, maxOutageMs, predicted, from)
  onEvent({ kind: 'drill-announced', drill: drill.name, server, vip, title: `${disturbance.title} on ${server}`, expects })
  const beganMs = ports.clock.monotonic()
  const samples: Sample[] = []
  const account = async (verdict: Verdict): Promise<CarriedOut> => {
    // An interrupted run reads no journals any more.
    const journals = errand.isReported && !ports.signal.aborted ? await readJournals(cluster, links, beganMs, ports) : []
    return { title: drill.title, verdict, about, asked: askedOf(errand.target), samples, journals, isUnhealthy: false }
  }
  const scene = { disturbance, server, rounds, nodes, samples, cluster, lockId, links, ports, onEvent }
  let outcome: DrillOutcome
  try {
    outcome = await runDrill(drillRun(about, errand, scene))
  } catch (thrown) {
    const fault = asHactlError(thrown)
    if (fault.code === 'E_UNHEALTHY') return refused(errand, whom, fault.why.length === 0 ? [fault.message] : fault.why, onEvent)
    return { ...(await account(brokenOffVerdict(about, samples, fault))), fault: { thrown } }
  }
  return account(told(judgeDrill(about, outcome), onEvent))
}

interface Scene {
  readonly disturbance: Disturbance
  readonly server: string
  readonly rounds: number
  /** As they were before. */
  readonly nodes: readonly ObservedNode[]
  readonly samples: Sample[]
  readonly cluster: Cluster
  readonly lockId: string
  readonly links: Links
  readonly ports: Ports
  readonly onEvent: OnEvent
}

function drillRun(about: DrillCase, errand: Errand, scene: Scene): DrillRun {
  const { disturbance, server, rounds, nodes, samples, cluster, lockId, links, ports, onEvent } = scene
  const { lastsMs = 0, boots = false } = disturbance
  const { keepConnection, clock } = ports
  return {
    id: randomBytes(4).toString('hex'),
    lockId,
    drill: about.drill,
    disturbance,
    server,
    rounds,
    vip: about.vip,
    look: {
      vips: cluster.instances.flatMap(other => other.virtualAddresses.map(({ address }) => address)),
      units: DRILL_UNITS,
      trackers: Object.values(TRACKER_FILES),
      files: MANAGED_PATHS,
    },
    limits: drillLimits(about.maxOutageMs, settleLimitMs(cluster, links.patience), { rounds, lastsMs, boots, patience: links.patience }),
    decide: decisionsFor(about, links.patience),
    samples,
    links,
    sendProbes: watch => sendProbes(errand, about.from, links, ports, watch),
    ...(keepConnection === undefined || !errand.origins.includes('controller')
      ? {}
      : { holdConnections: watch => runConnectionKeeper({ target: errand.target, keep: keepConnection, clock, ...watch }) }),
    // A server that is cut off answers nobody.
    ...(disturbance.severs
      ? {}
      : { diagnose: async at => whyNobodyTook(nodes, await lookAt(cluster, links, ports), errand.instance.name, at) }),
    clock,
    signal: ports.signal,
    onEvent,
  }
}

function decisionsFor(about: DrillCase, patience: number): DrillDecisions {
  return {
    baselineProblems: (samples, nowMs) => baselineProblems(about, samples, nowMs),
    takeoverIsSettled: (samples, nowMs) => takeoverIsSettled(about, samples, nowMs),
    failbackIsSettled: (samples, nowMs) => failbackIsSettled(about, samples, nowMs),
    nextToDisturb: (samples, nowMs) => nextToDisturb(about, samples, nowMs),
    secondFaults: (samples, nowMs) => secondFaults(samples, about.servers, nowMs, patience),
    outageSoFar: (samples, nowMs) => outageSoFar(probesOf(samples), markAt(samples, 'disturbed') ?? nowMs, nowMs),
  }
}

/** What this drill alone needs and this cluster does not have. */
async function unfitFor(
  { drill, origins, instance, target }: Errand,
  { needs }: Disturbance,
  server: string,
  from: string,
  links: Links,
  { signal }: Ports,
): Promise<readonly string[]> {
  const problems: string[] = []
  const ownVip = instance.virtualAddresses.some(vip => vip.address === target.address)
  if (ownVip && origins.every(origin => origin === from)) {
    problems.push(`${from} holds ${target.address}: its own probes never leave it; probe from another server`)
  }
  if (needs === undefined) return problems
  // Whoever is disturbed in a later round needs it as well.
  const asked = drill.on === 'each-holder' ? links.servers : [server]
  const answers = await Promise.all(
    asked.map(async name => {
      const result = await links
        .current(name)
        .run(needs.script, { effect: 'none', label: 'see what the drill needs', deadlineMs: 15_000, signal })
      return result.code === 0 ? [] : [`${name}: ${needs.what}; ${needs.fix}`]
    }),
  )
  return [...problems, ...answers.flat()]
}

/** From everywhere at once. A server's own probes of an address that it holds never leave it, so they are left out. */
async function sendProbes(
  { target, origins }: Errand,
  from: string,
  links: Links,
  { probe, clock }: Ports,
  watch: Parameters<DrillRun['sendProbes']>[0],
): Promise<unknown> {
  return Promise.all(
    origins
      .filter(origin => origin !== from)
      .map(origin =>
        origin === 'controller'
          ? runProber({ target, probe, clock, ...watch })
          : runServerProber({ session: links.current(origin), target, clock, ...watch }),
      ),
  )
}

function refused(errand: Errand, whom: Partial<DrillCase>, reasons: readonly string[], onEvent: OnEvent): CarriedOut {
  const verdict = told(refusedVerdict({ drill: errand.drill.name, vip: addressOf(errand), ...whom }, reasons), onEvent)
  return { ...emptyAccount(verdict, errand.drill.title, errand.target), isUnhealthy: true }
}

/** Why a cluster that is not at rest gets no drill: it is split already, which is what failed; else it is refused. */
export function notBegun(errand: Errand, { refusals, splits }: AtRest, onEvent: OnEvent): CarriedOut {
  const { name, virtualAddresses } = errand.instance
  const split = splits.find(({ instance, vip }) => instance === name && virtualAddresses.some(({ address }) => address === vip))
  if (split === undefined) return refused(errand, {}, refusals, onEvent)
  const verdict = told(splitVerdict({ drill: errand.drill.name, vip: split.vip }, split), onEvent)
  return { ...emptyAccount(verdict, errand.drill.title, errand.target), isUnhealthy: true }
}

function told(verdict: Verdict, onEvent: OnEvent): Verdict {
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

export function addressOf(errand: Errand): string {
  return errand.instance.virtualAddresses[0]?.address ?? ''
}
