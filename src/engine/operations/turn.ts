/** The part of an upgrade that changes servers: it downloads and tries the packages everywhere, then takes one server after the other. */
import { addressesOn, takerProblems } from '../../domain/drain.ts'
import { stopWords } from '../../domain/open-connections/fate.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { isDrained, tracksDrain } from '../../domain/trackers.ts'
import type { PackageSource } from '../apply/package-source.ts'
import { actionsOf, fetchPackages, installsOf, prepareServer, switchServer } from '../apply/change.ts'
import type { Install } from '../apply/packages.ts'
import { runSteps } from '../apply/steps.ts'
import { finishScript } from '../apply/switch.ts'
import { markScript, startAgainScript, stopHolderScript, trialScript, unmarkScript, type UpgradeOutlook } from '../apply/upgrade.ts'
import type { HistoryEntry } from '../history.ts'
import { assertNotInterrupted, uninterrupted } from '../interrupt.ts'
import { START_DEADLINE_MS, SWITCH_DEADLINE_MS, withStop } from '../limits.ts'
import { isLoss } from '../links.ts'
import { succeed } from '../succeed.ts'
import { asHactlError, HactlError, HactlErrors, throwAll } from '../../errors.ts'
import type { Effect, Script } from '../../ports.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { Action } from '../../state/plan.ts'
import { lookAt } from './at-rest.ts'
import { type Gates, gatesFor } from './gates.ts'
import type { Looked } from './look.ts'
import { lower, raise } from './lower.ts'
import type { MovedAddress } from './move.ts'
import type { LockedRun } from './run.ts'
import { lookAgain, type LockedScene, type Scene } from './scene.ts'
import type { UpgradePlan } from './upgrade-plan.ts'
import { letEnd, type LetEnd } from './windows.ts'

const SHORT_DEADLINE_MS = 15_000

type Move = MovedAddress & { readonly server: string }

/** What the turns of an upgrade go by, beside the run. */
export interface Turns extends UpgradePlan {
  readonly outlooks: ReadonlyMap<string, UpgradeOutlook>
  /** undefined: apt on the servers fetches by itself. */
  readonly packages: PackageSource | undefined
  /** Called before packages are installed on a server: from then on the packages that were downloaded there belong to the installation. */
  readonly onInstall: (server: string) => void
  /** Stands in the history: the inventory. */
  readonly source: string
  /** How long to wait for open connections before a turn ends them, and whether to go on where the time is over. */
  readonly wait: Pick<LetEnd, 'waitMs' | 'force'>
}

type TurnRun = Looked & LockedRun

/** Throws as `upgrade` does. The first failure ends it: that server stays drained, and later ones keep what they have. */
export async function runTurns(
  run: TurnRun,
  turns: Turns,
): Promise<{ readonly moves: readonly Move[]; readonly nodes: readonly ObservedNode[] }> {
  const { cluster, observed, ports, onEvent } = run
  const servers = turns.plan.waves.flat()
  onEvent({ kind: 'stage-started', stage: 'prepare', title: 'download the packages and try them', servers })
  await fetchAll(run, turns, servers)
  // A turn is finished once it has started: an interrupt counts between two servers, and while addresses are about to leave.
  const calm = uninterrupted(run)
  const gates = gatesFor(calm, { observed, heldBefore: true, complete: observed.size === cluster.servers.length })
  const moves: Move[] = []
  for (const [index, server] of servers.entries()) {
    assertNotInterrupted(ports.signal, {
      what: `interrupted before ${server}`,
      why: [index > 0 ? `the servers before it were upgraded; ${server} and later ones were not changed` : 'no server was changed'],
      fix: 'run hactl upgrade again: it continues where it stopped',
    })
    onEvent({ kind: 'wave-started', stage: 'upgrade', wave: index + 1, waves: servers.length, servers: [server] })
    moves.push(...(await takeTurn(run, turns, server, gates)))
  }
  await gates.pass('one-holder', servers)
  return { moves, nodes: await lookAt(calm) }
}

/** On all servers together. It touches nothing that runs, and installs nothing. */
async function fetchAll(run: TurnRun, { plan, packages, trials }: Turns, servers: readonly string[]): Promise<void> {
  const { id } = run.lock
  const outcomes = await Promise.allSettled(
    servers.map(async server => {
      const installs = installsOf(actionsOf(plan, server))
      if (installs.length === 0) return
      await fetch(run, packages, server, installs)
      await runSteps(run, server, trialScript(id, id, trials.get(server) ?? []), {
        effect: 'none',
        label: 'try the new versions',
        deadlineMs: SWITCH_DEADLINE_MS,
        failure: 'E_CONFIG_REFUSED',
      })
    }),
  )
  throwAll(outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [asHactlError(outcome.reason)] : [])))
}

async function fetch(run: TurnRun, packages: PackageSource | undefined, server: string, installs: readonly Install[]): Promise<void> {
  // The packages of a folder are on the server since apt was asked. Those that the controller fetches come when apt asks for them.
  const close = packages?.kind === 'controller' ? await packages.open(run.links.current(server), run.lock.id) : undefined
  try {
    await fetchPackages(run, server, installs, { refreshLists: false, download: true, isBrought: packages !== undefined })
  } finally {
    await close?.()
  }
}

/** Drains the server where it can be drained, changes it, undrains it. A turn that an earlier run left unfinished is finished. */
async function takeTurn(run: TurnRun, turns: Turns, server: string, gates: Gates): Promise<readonly Move[]> {
  const calm = uninterrupted(run)
  const before = await lookAgain(run, server)
  const started = turns.outlooks.get(server)?.started ?? 'no'
  if (actionsOf(turns.plan, server).length === 0) {
    const moves = started === 'drained' && isDrained(before.node) ? await takeBack(calm, server) : []
    await endTurn(run, server, gates)
    return moves
  }
  const wasDrained = isDrained(before.node) && started !== 'drained'
  const drains = tracksDrain(before.node) && !wasDrained
  assertTakers(before)
  const mark = markScript(run.lock.id, drains ? 'drained' : 'started')
  await quietly(run, server, mark, { effect: 'none', label: 'record that the upgrade has started here' })
  const moves: Move[] = []
  const lowers = drains && !isDrained(before.node)
  if (lowers) moves.push(...(await handOver(before)))
  try {
    if (stopsHaproxy(actionsOf(turns.plan, server))) await letOpenEnd(run, turns, before.node)
  } catch (error) {
    throw await givenBack(calm, before.node, { lowers, isFresh: started === 'no' }, error)
  }
  try {
    await changeServer(calm, turns, before, gates)
  } catch (error) {
    throw await leftBehind(run, server, drains, error)
  }
  if (drains) moves.push(...(await takeBack(calm, server)))
  await endTurn(run, server, gates)
  return moves
}

/** Drains the server, so that another holds its addresses before anything is changed on it. */
async function handOver(before: TurnRun & LockedScene): Promise<readonly Move[]> {
  const { server } = before.node
  try {
    const { vips, failure } = await lower(before, [])
    if (failure !== undefined) throw failure
    return vips.map(vip => ({ ...vip, server }))
  } catch (error) {
    // Why the server was not drained, and whether it still is, matters more than a mark that stays.
    await quietly(before, server, unmarkScript(), { effect: 'none', label: 'record that nothing was done here' }).catch(() => undefined)
    throw error
  }
}

/** A keepalived that is replaced alone ends nothing: haproxy and what keeps connections open go on. */
function stopsHaproxy(actions: readonly Action[]): boolean {
  return actions.some(action => action.kind === 'service' && action.unit === 'haproxy' && action.steps.includes('start'))
}

function letOpenEnd(run: TurnRun, { wait }: Turns, node: ObservedNode): Promise<void> {
  // A server without track files gives its addresses away only when keepalived stops.
  return letEnd(run, node.server, { ...wait, mayHold: !tracksDrain(node), fate: stopWords(run.cluster) })
}

/**
 * The error of a turn that has ended before anything was changed on the server, once the server is as it was. `node`: as it was before the
 * turn; lowers: the turn has drained it; isFresh: no earlier turn was left unfinished there.
 */
async function givenBack(
  run: TurnRun,
  node: ObservedNode,
  { lowers, isFresh }: { readonly lowers: boolean; readonly isFresh: boolean },
  thrown: unknown,
): Promise<HactlError> {
  const { server } = node
  const error = asHactlError(thrown)
  if (isLoss(error)) await run.links.renew(run.links.current(server)).catch(() => undefined)
  const faults: HactlError[] = []
  if (lowers) await takeBack(run, server).catch((fault: unknown) => faults.push(notGivenBack(server, fault)))
  if (isFresh && faults.length === 0) {
    const mark = { effect: 'none', label: 'record that nothing was done here' } as const
    await quietly(run, server, unmarkScript(), mark).catch(() => undefined)
  }
  const gaveBack = lowers && faults.length === 0 ? [`${server} is undrained: its addresses went back, and nothing was cut`] : []
  const stays = isDrained(node) ? [`${server} stays drained, as it was, and nothing was cut`] : []
  const stopped = new HactlError({
    code: error.code,
    server,
    what: error.code === 'E_INTERRUPTED' ? 'interrupted while open connections ended' : error.message,
    why: [...error.why, ...gaveBack, ...stays, 'this server and later ones keep the versions they have'],
    fix: `run hactl upgrade again: it continues here${error.fix === undefined ? '' : `; ${error.fix}`}`,
    cause: error,
  })
  return faults.length === 0 ? stopped : new HactlErrors([stopped, ...faults])
}

function notGivenBack(server: string, fault: unknown): HactlError {
  const { code, message, why } = asHactlError(fault)
  const fix = `hactl undrain ${server}`
  return new HactlError({ code, server, what: `this server may still be drained: ${message}`, why, fix, cause: fault })
}

/** Installs, switches, and records it. An interrupt does not stop it: `run` has a signal that never aborts. */
async function changeServer(run: TurnRun, { plan, source, onInstall }: Turns, { node }: Scene, gates: Gates): Promise<void> {
  const { cluster, lock } = run
  const { server } = node
  const actions = actionsOf(plan, server)
  const services = serviceTableFor(cluster, server)
  if (!tracksDrain(node)) {
    const stop = { effect: 'change', label: 'stop keepalived', deadlineMs: SWITCH_DEADLINE_MS } as const
    await runSteps(run, server, stopHolderScript(lock.id, services), stop)
  }
  if (installsOf(actions).length > 0) onInstall(server)
  await prepareServer(run, server, actions, { finishDpkg: false, failure: 'E_COMMAND_FAILED' })
  await switchServer(run, server, actions, services)
  await gates.pass('services-healthy', [server])
  const changed = actions.map(action => action.id)
  const entry: HistoryEntry = { id: lock.id, owner: lock.owner, command: 'upgrade', source, cluster: cluster.name, changed }
  await quietly(run, server, finishScript(entry, lock.id), { effect: 'change', label: 'write the history' })
}

async function endTurn(run: TurnRun, server: string, gates: Gates): Promise<void> {
  await quietly(run, server, unmarkScript(), { effect: 'none', label: 'record that the upgrade has ended here' })
  await gates.pass('vip-answers', [server])
}

/** Gives an upgraded server its priority back. */
async function takeBack(run: TurnRun, server: string): Promise<readonly Move[]> {
  const { vips, failure } = await raise(await lookAgain(run, server))
  if (failure !== undefined) throw failure
  return vips.map(vip => ({ ...vip, server }))
}

/** Throws E_UNHEALTHY where the server holds an address that no other server could take over. */
function assertTakers({ cluster, nodes, node }: Scene): void {
  if (addressesOn(cluster, node).length === 0) return
  const why = takerProblems(cluster, nodes, node.server)
  if (why.length === 0) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server: node.server,
    what: `this server was not upgraded: it holds ${addressesOn(cluster, node).join(', ')}`,
    why,
    fix: 'fix the servers named above, then run hactl upgrade again',
  })
}

/** The error with what it left behind. Starts what is installed, so that the server is at least a last resort. */
async function leftBehind(run: TurnRun, server: string, isStillDrained: boolean, thrown: unknown): Promise<HactlError> {
  const error = asHactlError(thrown)
  // Without a connection nothing there could be started, and the lock could not be released.
  if (isLoss(error)) await run.links.renew(run.links.current(server)).catch(() => undefined)
  const script = startAgainScript(['haproxy', 'keepalived'])
  // The installation may have been cut off while haproxy stopped.
  const deadlineMs = withStop(START_DEADLINE_MS, run.cluster.stopTimeoutMs)
  const what = { effect: 'change', label: 'start what is installed', deadlineMs } as const
  const started = await quietly(run, server, script, what).then(
    () => [],
    (fault: unknown) => {
      const { message, why } = asHactlError(fault)
      return [`the installed versions could not be started again: ${[message, ...why].join('; ')}`]
    },
  )
  const unless = started.length > 0 ? ', until it reboots' : ''
  const state = isStillDrained ? [`${server} stays drained, so that it takes no address${unless}`] : []
  return new HactlError({
    code: error.code,
    server,
    what: error.message,
    why: [...error.why, ...started, ...state, 'later servers keep the versions they had'],
    fix: `fix ${server}, then run hactl upgrade again: it finishes that server and continues${error.fix === undefined ? '' : `; ${error.fix}`}`,
    cause: error,
  })
}

/** A short command of which only the success matters. Throws E_LOCKED, E_COMMAND_FAILED and what Session.run throws. */
async function quietly(
  { links }: TurnRun,
  server: string,
  script: Script,
  { effect, label, deadlineMs = SHORT_DEADLINE_MS }: { readonly effect: Effect; readonly label: string; readonly deadlineMs?: number },
): Promise<void> {
  await succeed(links.current(server), script, { effect, label, deadlineMs }, ({ code }) => ({
    what: `${label}: ended with status ${code}`,
    fix: 'run hactl upgrade again: it continues where it stopped',
  }))
}
