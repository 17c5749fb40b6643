/** The changing part of an upgrade: packages at hand and tried everywhere, then one server after the other. */
import type { Cluster } from '../../domain/cluster-types.ts'
import { addressesOn, takerProblems } from '../../domain/drain.ts'
import { serviceTableFor } from '../../domain/service-scripts.ts'
import { isDrained, tracksDrain } from '../../domain/trackers.ts'
import type { PackageSource } from '../apply/package-source.ts'
import { fetchScript, type Install } from '../apply/packages.ts'
import { prepareEffect, prepareScript } from '../apply/prepare.ts'
import { runSteps, type StepsOptions } from '../apply/steps.ts'
import { finishScript, switchScript } from '../apply/switch.ts'
import { markScript, startAgainScript, stopHolderScript, trialScript, unmarkScript, type UpgradeOutlook } from '../apply/upgrade.ts'
import type { EngineEvent } from '../events.ts'
import type { HistoryEntry } from '../history.ts'
import { assertNotInterrupted } from '../interrupt.ts'
import { isLoss, type Links } from '../links.ts'
import { lockLost } from '../lock.ts'
import type { Playbook } from '../playbook.ts'
import { asHactlError, HactlError, throwAll } from '../../errors.ts'
import type { Effect, Ports, Script } from '../../ports.ts'
import type { Action, ObservedNode, Plan } from '../../state.ts'
import { lookAt } from './at-rest.ts'
import type { Connections } from '../../app/connect.ts'
import { lower, raise } from '../../app/drain.ts'
import { type Gates, gatesFor } from './gates.ts'
import type { MovedAddress, Scene } from './move.ts'
import type { UpgradePlan } from '../../app/upgrade-plan.ts'

const FETCH_DEADLINE_MS = 1_200_000
const SWITCH_DEADLINE_MS = 120_000
// systemd waits for a start, and there are two.
const START_DEADLINE_MS = 60_000
const SHORT_DEADLINE_MS = 15_000

type Move = MovedAddress & { readonly server: string }

export interface Turns extends UpgradePlan {
  readonly cluster: Cluster
  readonly outlooks: ReadonlyMap<string, UpgradeOutlook>
  readonly playbook: Playbook
  readonly connections: Connections
  readonly links: Links
  readonly observed: ReadonlyMap<string, ObservedNode>
  /** undefined: apt on the servers fetches by itself. */
  readonly packages: PackageSource | undefined
  readonly runId: string
  readonly lockId: string
  /** Called before packages are installed on a server: from then on what was downloaded there is its installation's. */
  readonly onInstall: (server: string) => void
  readonly history: Omit<HistoryEntry, 'changed'>
  readonly ports: Ports
  readonly onEvent: (event: EngineEvent) => void
}

/** Throws as `upgrade` does. The first failure ends it: that server stays lowered, later ones keep what they have. */
export async function runTurns(turns: Turns): Promise<{ readonly moves: readonly Move[]; readonly nodes: readonly ObservedNode[] }> {
  const { cluster, plan, connections, observed, ports, onEvent } = turns
  const servers = plan.waves.flat()
  onEvent({ kind: 'stage-started', stage: 'prepare', title: 'download the packages and try them', servers })
  await fetchAll(turns, servers)
  // What was begun is ended: an interrupt counts between two servers, and while addresses are about to leave.
  const calm = { ...ports, signal: new AbortController().signal }
  const gates = gatesFor({
    cluster,
    sessions: connections.sessions,
    observed,
    ports: calm,
    onEvent,
    heldBefore: true,
    complete: observed.size === cluster.servers.length,
  })
  const moves: Move[] = []
  for (const [index, server] of servers.entries()) {
    assertNotInterrupted(ports.signal, {
      what: `interrupted before ${server}`,
      why: [index > 0 ? `the servers before it were upgraded; ${server} and later ones were not changed` : 'no server was changed'],
      fix: 'run hactl upgrade again: it continues where it stopped',
    })
    onEvent({ kind: 'wave-started', stage: 'upgrade', wave: index + 1, waves: servers.length, servers: [server] })
    moves.push(...(await takeTurn(turns, server, gates, calm)))
  }
  await gates.pass('one-holder', servers)
  return { moves, nodes: await lookAt(cluster, turns.links, calm) }
}

/** On all servers together: nothing that runs is touched, and nothing is installed. */
async function fetchAll(turns: Turns, servers: readonly string[]): Promise<void> {
  const outcomes = await Promise.allSettled(
    servers.map(async server => {
      const installs = actionsOf(turns.plan, server).filter((action): action is Install => action.kind === 'install-package')
      if (installs.length === 0) return
      await fetch(turns, server, installs)
      const trial = trialScript(turns.runId, turns.lockId, turns.trials.get(server) ?? [])
      await steps(turns, server, trial, 'none', 'try the new versions', SWITCH_DEADLINE_MS, 'E_CONFIG_REFUSED', turns.ports.signal)
    }),
  )
  throwAll(outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [asHactlError(outcome.reason)] : [])))
}

async function fetch(turns: Turns, server: string, installs: readonly Install[]): Promise<void> {
  const { packages, runId, lockId } = turns
  // What lay in a folder is there since apt was asked; what is fetched here comes when apt asks for it.
  const close = packages?.kind === 'controller' ? await packages.open(turns.links.current(server), lockId) : undefined
  try {
    const script = fetchScript(runId, lockId, installs, { refreshLists: false, download: true, isBrought: packages !== undefined })
    await steps(turns, server, script, 'none', 'fetch the packages', FETCH_DEADLINE_MS, 'E_PACKAGE_UNAVAILABLE', turns.ports.signal)
  } finally {
    await close?.()
  }
}

async function takeTurn(turns: Turns, server: string, gates: Gates, calm: Ports): Promise<readonly Move[]> {
  const { cluster, outlooks, ports, plan, lockId, runId } = turns
  const actions = actionsOf(plan, server)
  const before = await sceneOf(turns, server, ports)
  if (actions.length === 0) {
    const moves = outlooks.get(server)?.begun === 'drained' && isDrained(before.node) ? await takeBack(turns, server, calm) : []
    await endTurn(turns, server, gates)
    return moves
  }
  const wasDrained = isDrained(before.node) && outlooks.get(server)?.begun !== 'drained'
  const drains = tracksDrain(before.node) && !wasDrained
  assertTakers(before)
  const mark = markScript(lockId, drains ? 'drained' : 'begun')
  await quietly(turns, server, mark, 'none', 'record that the upgrade has started here')
  const moves: Move[] = []
  if (drains && !isDrained(before.node)) {
    try {
      const { vips, failure } = await lower(before, lockId, [])
      if (failure !== undefined) throw failure
      moves.push(...vips.map(vip => ({ ...vip, server })))
    } catch (error) {
      // Why the server was not lowered, and whether it still is, matters more than a mark that stays.
      await quietly(turns, server, unmarkScript(), 'none', 'record that nothing was done here').catch(() => undefined)
      throw error
    }
  }
  try {
    const { signal } = calm
    const services = serviceTableFor(cluster, server)
    if (!tracksDrain(before.node)) {
      const stop = stopHolderScript(lockId, services)
      await steps(turns, server, stop, 'change', 'stop keepalived', SWITCH_DEADLINE_MS, 'E_COMMAND_FAILED', signal)
    }
    if (actions.some(action => action.kind === 'install-package')) turns.onInstall(server)
    await steps(
      turns,
      server,
      prepareScript(runId, lockId, actions, false),
      prepareEffect(actions),
      'prepare',
      FETCH_DEADLINE_MS,
      'E_COMMAND_FAILED',
      signal,
    )
    const change = switchScript(runId, lockId, actions, services)
    await steps(turns, server, change, 'change', 'make the changes live', SWITCH_DEADLINE_MS, 'E_COMMAND_FAILED', signal)
    await gates.pass('services-healthy', [server])
    await quietly(
      turns,
      server,
      finishScript({ ...turns.history, changed: actions.map(action => action.id) }, lockId),
      'change',
      'write the history',
    )
  } catch (error) {
    throw await leftBehind(turns, server, drains, error)
  }
  if (drains) moves.push(...(await takeBack(turns, server, calm)))
  await endTurn(turns, server, gates)
  return moves
}

async function endTurn(turns: Turns, server: string, gates: Gates): Promise<void> {
  await quietly(turns, server, unmarkScript(), 'none', 'record that the upgrade has ended here')
  await gates.pass('vip-answers', [server])
}

/** Gives an upgraded server its priority back. */
async function takeBack(turns: Turns, server: string, calm: Ports): Promise<readonly Move[]> {
  const { vips, failure } = await raise(await sceneOf(turns, server, calm), turns.lockId)
  if (failure !== undefined) throw failure
  return vips.map(vip => ({ ...vip, server }))
}

async function sceneOf(turns: Turns, server: string, ports: Ports): Promise<Scene> {
  const { cluster, links, onEvent } = turns
  const nodes = await lookAt(cluster, links, ports)
  const node = nodes.find(own => own.server === server)
  if (node === undefined) throw new HactlError({ code: 'E_INTERNAL', server, what: `${server} was not looked at` })
  return { cluster, links, nodes, node, ports, onEvent }
}

/** Throws where the server holds an address that nobody could take over. */
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

/** The error with what it left behind. What is installed is started, so that the server is at least a last resort. */
async function leftBehind(turns: Turns, server: string, isLowered: boolean, thrown: unknown): Promise<HactlError> {
  const error = asHactlError(thrown)
  // Without a connection nothing there could be started, nor the lock be released.
  if (isLoss(error)) await turns.links.renew(turns.links.current(server)).catch(() => undefined)
  const started = await quietly(
    turns,
    server,
    startAgainScript(['haproxy', 'keepalived']),
    'change',
    'start what is installed',
    START_DEADLINE_MS,
  ).then(
    () => [],
    (fault: unknown) => {
      const { message, why } = asHactlError(fault)
      return [`the installed versions could not be started again: ${[message, ...why].join('; ')}`]
    },
  )
  const unless = started.length > 0 ? ', until it reboots' : ''
  const state = isLowered ? [`${server} stays drained, so that it takes no address${unless}`] : []
  return new HactlError({
    code: error.code,
    server,
    what: error.message,
    why: [...error.why, ...started, ...state, 'later servers keep the versions they had'],
    fix: `fix ${server}, then run hactl upgrade again: it finishes that server and continues${error.fix === undefined ? '' : `; ${error.fix}`}`,
    cause: error,
  })
}

function actionsOf(plan: Plan, server: string): readonly Action[] {
  return plan.servers.find(entry => entry.server === server)?.actions ?? []
}

async function steps(
  turns: Turns,
  server: string,
  script: Script,
  effect: Effect,
  label: string,
  deadlineMs: number,
  failure: StepsOptions['failure'],
  signal: AbortSignal,
): Promise<void> {
  const { clock } = turns.ports
  await runSteps(turns.links.current(server), script, {
    effect,
    label,
    deadlineMs,
    tell: true,
    failure,
    clock,
    onEvent: turns.onEvent,
    signal,
  })
}

/** A short command whose success is all that matters. */
async function quietly(
  turns: Turns,
  server: string,
  script: Script,
  effect: Effect,
  label: string,
  deadlineMs = SHORT_DEADLINE_MS,
): Promise<void> {
  const result = await turns.links.current(server).run(script, { effect, label, deadlineMs })
  if (result.code === 0) return
  const lost = lockLost(result, server, label)
  if (lost !== undefined) throw lost
  throw new HactlError({
    code: 'E_COMMAND_FAILED',
    server,
    what: `${label}: ended with status ${result.code}`,
    why: result.stderr.trim().split('\n').slice(-3),
    fix: 'run hactl upgrade again: it continues where it stopped',
  })
}
