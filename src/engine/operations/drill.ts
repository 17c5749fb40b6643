/** Carries errands out: looks, announces, runs the drill, judges it. */
import { randomBytes } from 'node:crypto'
import { whyNobodyTook } from '../../domain/failover/diagnosis.ts'
import { disturbanceFor } from '../../domain/failover/disturbances.ts'
import { drillLimits, DRILL_UNITS, expectationText, goesHome, isTakerCertain } from '../../domain/failover/drill.ts'
import { keepsConnections } from '../../domain/failover/promise.ts'
import { judgeDrill } from '../../domain/failover/judge.ts'
import {
  baselineProblems,
  failbackIsSettled,
  moveIsJudged,
  nextToDisturb,
  secondFaults,
  takeoverIsSettled,
} from '../../domain/failover/settled.ts'
import { markAt, outageSoFar, probesOf, SILENT_AFTER_MS } from '../../domain/failover/timeline.ts'
import { brokenOffVerdict } from '../../domain/failover/unjudged.ts'
import type { DrillCase, Verdict } from '../../domain/failover/verdict.ts'
import { MANAGED_PATHS } from '../../domain/paths.ts'
import { TRACKER_FILES } from '../../domain/trackers.ts'
import { asHactlError } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Disturbance, Sample } from '../../state/drill.ts'
import { longLived } from '../connection-keeper.ts'
import { type DrillOutcome, runDrill } from '../drill.ts'
import type { DrillDecisions, DrillRun } from '../drill-run.ts'
import { runProber } from '../prober.ts'
import { runServerProber } from '../server-prober.ts'
import { askedOf, type CarriedOut, notStarted, readJournals, refused, told } from './account.ts'
import { lookAt, settledCluster } from './at-rest.ts'
import { addressOf, type Errand, placeOf } from './errand.ts'
import { settleLimitMs } from './gates.ts'
import { holdersOf } from './look.ts'
import type { LockedRun, Run } from './run.ts'

/**
 * Carries the errands out in order, and gives `onAccount` what came of each. Ends early, without an error, at one that left something
 * changed and at a cluster that does not come to rest: nothing else is disturbed before that is fixed.
 * Throws what ended a drill before its end, once `onAccount` has its account, and what looking at the servers throws.
 */
export async function carryOutAll(run: LockedRun, errands: readonly Errand[], onAccount: (account: CarriedOut) => void): Promise<void> {
  for (const errand of errands) {
    const account = await carryOut(run, errand)
    onAccount(account)
    if (account.fault !== undefined) throw account.fault.thrown
    if (!account.verdict.restored || account.isUnhealthy) return
  }
}

/**
 * Looks at the servers as they are now, runs the drill where they are healthy, and judges it. What runDrill throws is `fault` of what comes
 * back, with all that was seen until then; a baseline that is not good is a refusal. Throws what looking at the servers throws.
 */
async function carryOut(run: LockedRun, errand: Errand): Promise<CarriedOut> {
  const { cluster, links, ports, onEvent } = run
  const { drill, expect, instance, maxOutageMs } = errand
  const rest = await settledCluster(run, await lookAt(run), settleLimitMs(cluster, links.patience))
  const { nodes } = rest
  const vip = addressOf(errand)
  const [from] = holdersOf(nodes, vip)
  if (rest.refusals.length > 0 || from === undefined) return notStarted(run, errand, rest)
  const { server, predicted, rounds } = placeOf(errand, nodes, from)
  const whom = { from, predicted }
  if (server === undefined) {
    return { ...refused(run, errand, whom, ['the server that is next in line is not known']), isUnhealthy: false }
  }
  const view = nodes.find(node => node.server === server)?.instances.find(own => own.name === instance.name)
  const disturbance = disturbanceFor(drill.disturb, { interface: view?.interface ?? '', vip })
  if (disturbance === undefined) return refused(run, errand, whom, [`there is no disturbance ${drill.disturb}`])
  const missing = await unfitFor(run, errand, disturbance, { server, from })
  if (missing.length > 0) return { ...refused(run, errand, whom, missing), isUnhealthy: false }
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
    keepsConnections: keepsConnections(cluster, nodes, drill.disturb),
    foretold: errand.foretold,
  }
  const expects = expectationText(expect, maxOutageMs, predicted, from, about.keepsConnections)
  onEvent({ kind: 'drill-announced', drill: drill.name, server, vip, title: `${disturbance.title} on ${server}`, expects })
  const beganMs = ports.clock.monotonic()
  const samples: Sample[] = []
  const account = async (verdict: Verdict): Promise<CarriedOut> => {
    // An interrupted run reads no journals any more.
    const journals = errand.isReported && !ports.signal.aborted ? await readJournals(run, beganMs) : []
    return { title: drill.title, verdict, about, asked: askedOf(errand.target), samples, journals, isUnhealthy: false }
  }
  let outcome: DrillOutcome
  try {
    outcome = await runDrill(drillRun(run, errand, about, { disturbance, server, rounds, nodes, samples }))
  } catch (thrown) {
    const fault = asHactlError(thrown)
    if (fault.code === 'E_UNHEALTHY') return refused(run, errand, whom, fault.why.length === 0 ? [fault.message] : fault.why)
    return { ...(await account(brokenOffVerdict(about, samples, fault))), fault: { thrown } }
  }
  return account(told(run, judgeDrill(about, outcome)))
}

interface Staging {
  readonly disturbance: Disturbance
  readonly server: string
  readonly rounds: number
  /** As they were before. */
  readonly nodes: readonly ObservedNode[]
  readonly samples: Sample[]
}

function drillRun(run: LockedRun, errand: Errand, about: DrillCase, { nodes, ...staging }: Staging): DrillRun {
  const { cluster, lock, links, ports, onEvent } = run
  const { disturbance, rounds } = staging
  const { lastsMs = 0, boots = false } = disturbance
  const { keepConnection, clock } = ports
  return {
    ...staging,
    id: randomBytes(4).toString('hex'),
    lockId: lock.id,
    drill: about.drill,
    vip: about.vip,
    look: {
      vips: cluster.instances.flatMap(other => other.virtualAddresses.map(({ address }) => address)),
      units: DRILL_UNITS,
      trackers: Object.values(TRACKER_FILES),
      files: MANAGED_PATHS,
    },
    limits: drillLimits(about.maxOutageMs, settleLimitMs(cluster, links.patience), {
      rounds,
      lastsMs,
      boots,
      patience: links.patience,
      stopMs: cluster.stopTimeoutMs,
    }),
    decide: decisionsFor(about, links.patience),
    links,
    sendProbes: watch => sendProbes(run, errand, about.from, watch),
    ...(keepConnection === undefined || !errand.origins.includes('controller')
      ? {}
      : { longLived: longLived(errand.target, keepConnection) }),
    // A server that is cut off does not answer.
    ...(disturbance.severs ? {} : { diagnose: async at => whyNobodyTook(nodes, await lookAt(run), errand.instance.name, at) }),
    clock,
    signal: ports.signal,
    onEvent,
  }
}

function decisionsFor(about: DrillCase, patience: number): DrillDecisions {
  return {
    silentAfterMs: SILENT_AFTER_MS,
    baselineProblems: (samples, nowMs) => baselineProblems(about, samples, nowMs),
    takeoverIsSettled: (samples, nowMs) => takeoverIsSettled(about, samples, nowMs),
    moveIsJudged: (samples, nowMs) => moveIsJudged(about, samples, nowMs),
    failbackIsSettled: (samples, nowMs) => failbackIsSettled(about, samples, nowMs),
    nextToDisturb: (samples, nowMs) => nextToDisturb(about, samples, nowMs),
    secondFaults: (samples, nowMs) => secondFaults(samples, about.servers, nowMs, patience),
    outageSoFar: (samples, nowMs) => outageSoFar(probesOf(samples), markAt(samples, 'disturbed') ?? nowMs, nowMs),
  }
}

/** What this drill alone needs and this cluster does not have. */
async function unfitFor(
  { links, ports }: Run,
  { drill, origins, instance, target }: Errand,
  { needs }: Disturbance,
  { server, from }: { readonly server: string; readonly from: string },
): Promise<readonly string[]> {
  const problems: string[] = []
  const ownVip = instance.virtualAddresses.some(vip => vip.address === target.address)
  if (ownVip && origins.every(origin => origin === from)) {
    problems.push(`${from} holds ${target.address}: its own probes never leave it; probe from another server`)
  }
  if (needs === undefined) return problems
  // Whichever server is disturbed in a later round needs it as well.
  const asked = drill.on === 'each-holder' ? links.servers : [server]
  const answers = await Promise.all(
    asked.map(async name => {
      const options = { effect: 'none', label: 'see what the drill needs', deadlineMs: 15_000, signal: ports.signal } as const
      const result = await links.current(name).run(needs.script, options)
      return result.code === 0 ? [] : [`${name}: ${needs.what}; ${needs.fix}`]
    }),
  )
  return [...problems, ...answers.flat()]
}

/** From everywhere at once. A server's own probes of an address that it holds never leave it, so they are left out. */
async function sendProbes(
  { links, ports }: Run,
  { target, origins }: Errand,
  from: string,
  watch: Parameters<DrillRun['sendProbes']>[0],
): Promise<unknown> {
  const { probe, clock } = ports
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
