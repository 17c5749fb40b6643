/** What a deploy and a rollback share: a plan is confirmed, applied in safe order under the lock, and proven. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { holderProblems, nodeProblems } from '../../domain/health.ts'
import { handingsAfter } from '../../domain/open-connections/handing.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { applyPlan, type FirstPart, finishDeadRuns } from '../apply.ts'
import { actionsOf } from '../apply/change.ts'
import type { PackageSource } from '../apply/package-source.ts'
import type { HistoryEntry } from '../history.ts'
import { mayBeDead } from '../lock.ts'
import type { Playbook } from '../playbook.ts'
import { asHactlError, HactlError, throwAll } from '../../errors.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Plan } from '../../state/plan.ts'
import { lookAt } from './at-rest.ts'
import { bringsService, handingsBroughtFor, removesService } from './brings-service.ts'
import { assertConfirmed } from './confirm.ts'
import { type Gates, gatesFor } from './gates.ts'
import { holdersOf, type Looked } from './look.ts'
import { tellCuts } from './move.ts'
import { type Run, underLock } from './run.ts'
import { END_WITH_SERVICE, letEnd, type LetEnd } from './windows.ts'

export interface RollOut {
  readonly plan: Plan
  readonly command: HistoryEntry['command']
  /** Stands in the history beside the command: the inventory, or the entry that was gone back to. */
  readonly source: string
  readonly playbook: Playbook
  /** For servers whose apt reaches no mirror; undefined: apt fetches by itself. */
  readonly packages?: PackageSource | undefined
  /** How long to wait before a change that ends open connections, and whether to go on where the time is over. */
  readonly wait: Pick<LetEnd, 'waitMs' | 'force'>
  readonly confirm: (plan: Plan) => Promise<boolean>
  /** A check that takes its time: it runs while packages are fetched. Nothing is changed where it throws. */
  readonly lastCheck?: (() => Promise<void>) | undefined
}

export interface RollOutReport {
  readonly plan: Plan
  readonly servers: readonly { readonly name: string; readonly changed: readonly string[]; readonly unchanged: number }[]
  /** Virtual address to the server that holds it. */
  readonly holder: Readonly<Record<string, string>>
}

/**
 * Confirms, takes the lock, applies the plan in safe order and proves the result. Where there is nothing to do it takes no lock and sends no
 * command beyond the look, but still proves that the cluster works. The gates go by `run.cluster`. Throws E_DECLINED, E_UNHEALTHY and what
 * locking and applyPlan throw.
 */
export async function rollOut(run: Looked, what: RollOut): Promise<RollOutReport> {
  const { cluster, nodes, observed, onEvent } = run
  const { plan } = what
  const addresses = cluster.instances.flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
  const gates = gatesFor(run, {
    observed,
    heldBefore: addresses.every(address => holdersOf(nodes, address).length > 0),
    complete: nodes.length === cluster.servers.length,
  })
  if (plan.waves.length === 0) {
    await proveUnchanged(cluster, nodes, gates)
    await tidyUp(run)
  } else {
    assertConfirmed(await what.confirm(plan), 'apply')
    await underLock(run, async locked => {
      await gates.lookFirst()
      await applyPlan({
        ...locked,
        plan,
        playbook: what.playbook,
        history: { command: what.command, source: what.source },
        services: server => serviceTableFor(cluster, server),
        packages: what.packages,
        first: keepingFirst({ ...run, ...locked }, plan),
        beforeWave: servers => letOpenEnd(locked, what, servers),
        passGate: gates.pass,
        lastCheck: what.lastCheck,
      })
    })
  }
  for (const text of gates.notes()) onEvent({ kind: 'note', text })
  return {
    plan,
    servers: changesOf(plan),
    holder: holderOfEach(cluster, gates.seen().values()),
  }
}

/**
 * What keeps open connections comes first, and has the time to find its peers, where this roll-out brings it and lets an address move: a server
 * that joins, or other priorities. undefined where nothing moves, or where all is there already.
 */
function keepingFirst(run: Looked, plan: Plan): FirstPart | undefined {
  const handings = handingsBroughtFor(plan, handingsAfter(run.cluster, run.nodes))
  if (handings.length === 0) return undefined
  return {
    stage: 'open-connections',
    what: 'what keeps open connections',
    isPart: bringsService,
    settled: async () => {
      await tellCuts({ ...run, nodes: await lookAt(run) }, handings)
    },
  }
}

/** Only a roll-out that takes the service away ends what is still open: none restarts haproxy. */
async function letOpenEnd(run: Run, { plan, wait }: RollOut, servers: readonly string[]): Promise<void> {
  const ends = servers.filter(server => actionsOf(plan, server).some(removesService))
  const stays = ['this server was not changed; servers before it keep the new configuration']
  const outcomes = await Promise.allSettled(
    ends.map(server => letEnd(run, server, { ...wait, mayHold: true, fate: END_WITH_SERVICE, stays })),
  )
  throwAll(outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [asHactlError(outcome.reason)] : [])))
}

/** What a plan changes on each server, for a report. */
export function changesOf(plan: Plan): RollOutReport['servers'] {
  return plan.servers.map(({ server, actions, unchanged }) => ({
    name: server,
    changed: actions.map(action => action.id),
    unchanged: unchanged.length,
  }))
}

/** The server that holds each virtual address; empty text where no server does. */
export function holderOfEach(cluster: Cluster, seen: Iterable<ObservedNode>): RollOutReport['holder'] {
  const nodes = [...seen]
  return Object.fromEntries(
    cluster.instances
      .flatMap(instance => instance.virtualAddresses.map(vip => vip.address))
      .map(address => [address, holdersOf(nodes, address)[0] ?? '']),
  )
}

/** A run that died may have left its lock, or may have died so late that only its entry in the history is missing. */
async function tidyUp(run: Looked): Promise<void> {
  const { nodes, onEvent } = run
  const left = nodes.filter(node => node.leftRuns.length > 0 || (node.lock !== undefined && mayBeDead(node.lock.ageSeconds)))
  if (left.length === 0) return
  await underLock(run, locked =>
    finishDeadRuns(
      locked,
      left.map(node => node.server),
    ),
  )
  onEvent({ kind: 'note', text: `${left.map(node => node.server).join(', ')}: hactl removed what a dead run had left` })
}

/**
 * A plan with nothing to do does not prove that the cluster works. Its servers must be healthy, after a boot within the time that they may
 * need, and the addresses must answer. Throws E_UNHEALTHY.
 */
async function proveUnchanged(cluster: Cluster, nodes: readonly ObservedNode[], gates: Gates): Promise<void> {
  const servers = nodes.map(node => node.server)
  const problems = [
    ...nodes.flatMap(node => nodeProblems(cluster, node)),
    ...(nodes.length === cluster.servers.length ? holderProblems(cluster, nodes) : []),
  ]
  try {
    for (const gate of problems.length > 0 ? (['services-healthy', 'one-holder'] as const) : []) await gates.pass(gate, servers)
    await gates.pass('vip-answers', servers)
  } catch (error) {
    if (!(error instanceof HactlError) || error.code !== 'E_GATE') throw error
    throw new HactlError({
      code: 'E_UNHEALTHY',
      what: 'there is nothing to change, but the cluster is not healthy',
      why: error.why,
      fix: 'hactl status shows each server; systemctl status haproxy keepalived on the servers named above',
      cause: error,
    })
  }
}
