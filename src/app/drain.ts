import { addressesOn, renderDrainTmpfiles, restlessProblems, takerProblems, takesBack } from '../domain/drain.ts'
import { nodeProblems } from '../domain/health.ts'
import { DRAIN_TMPFILES_CONF } from '../domain/paths.ts'
import {
  drainsAtBoot,
  handOverOffset,
  isDrained,
  TRACKER_FILES,
  tracksDrain,
  writeTracker,
  writeTrackerByHand,
} from '../domain/trackers.ts'
import { lockGuard, lockGuardUnlessTaken, lockLost } from '../engine/lock.ts'
import { base64Literal, joinScripts, sh, shWith } from '../shell/sh.ts'
import { HactlError } from '../errors.ts'
import type { Ports, Script } from '../ports.ts'
import type { ObservedNode } from '../state.ts'
import {
  announced,
  locked,
  measured,
  move,
  type MoveAnnouncement,
  type MovedAddress,
  type MoveInput,
  type OnEvent,
  onServer,
  results,
  type Scene,
} from '../engine/operations/move.ts'

const FILE_DEADLINE_MS = 15_000

export interface DrainInput extends MoveInput {
  /** Drain it again at every boot, until it is undrained. */
  readonly persist: boolean
  /** Also where nobody is left to take over, or the addresses do not stand as they should. */
  readonly force: boolean
}

/** What came of a drain or its end. */
export interface MoveReport {
  readonly server: string
  readonly drained: boolean
  /** It is drained again at its next boot. */
  readonly survivesReboot: boolean
  /** False where there was nothing to do. */
  readonly changed: boolean
  readonly vips: readonly MovedAddress[]
  readonly notes: readonly string[]
  /** Why the addresses did not move; a drain was then taken back. */
  readonly failure: HactlError | undefined
}

/**
 * Lowers a server below all others, waits until another holds its addresses, and measures what users notice of it.
 * Throws E_USAGE, E_UNHEALTHY (nobody can take over, no track file: nothing was changed), E_DECLINED, E_LOCKED, E_UNDO_FAILED and what
 * connecting and reading throw. A drain that nobody took over is taken back and reported as `failure`.
 */
export async function drain(input: DrainInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> {
  const { server } = input
  return onServer(input, ports, onEvent, async scene => {
    const { cluster, node } = scene
    assertTracksDrain(node)
    if (isDrained(node)) return keepDrained(input, scene)
    const overruled = refusalsOf(scene)
    if (overruled.length > 0 && !input.force) throw refused(server, overruled)
    const held = addressesOn(cluster, node)
    const costs = overruled.length === 0 ? [] : [...overruled, costOf(scene, held)]
    await assertConfirmed(input, { command: 'drain', server, vips: await announced(scene, held), warnings: costs })
    return locked('drain', scene, async (now, lockId) => {
      const fresh = refusalsOf(now)
      if (fresh.length > 0 && !input.force) throw refused(server, fresh)
      const report = await lower(now, lockId, costs)
      if (!input.persist || report.failure !== undefined) return report
      await writePersistence(now, lockId)
      return { ...report, survivesReboot: true }
    })
  })
}

/**
 * Gives a drained server its priority back, waits until keepalived has it and, where it preempts, until it has taken its addresses back;
 * measured. Throws as drain does; nothing is taken back here.
 */
export async function undrain(input: MoveInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> {
  const { server } = input
  return onServer(input, ports, onEvent, async scene => {
    const { cluster, node, nodes } = scene
    const isLowered = Number(node.trackers[TRACKER_FILES.drain] ?? 0) < 0
    if (!isLowered && !drainsAtBoot(node)) return nothingToDo(server, false, false, `${server} is not drained`)
    const back = takesBack(cluster, nodes, server)
    await assertConfirmed(input, { command: 'undrain', server, vips: await announced(scene, back), warnings: [] })
    return locked('undrain', scene, async (now, lockId) => raise(now, lockId))
  })
}

/** Lowers the server and waits until another holds its addresses; the lock is held. `costs`: what was overruled. */
export async function lower(scene: Scene, lockId: string, costs: readonly string[]): Promise<MoveReport> {
  const { cluster, node, nodes } = scene
  const server = node.server
  const held = addressesOn(cluster, node)
  const canMove = takerProblems(cluster, nodes, server).length === 0
  // Lowered by FAULT the address is given up even where nobody takes it: there is nothing to watch for then.
  const staysUp = canMove || handOverOffset(cluster) === -253
  const outcome = await move(scene, {
    command: 'drain',
    addresses: await measured(scene, staysUp ? held : [], server),
    title: held.length === 0 || !canMove ? `the priority of ${server} is lowered` : `another server holds ${held.join(', ')}`,
    change: { title: `lower the priority of ${server}`, script: guarded(lockId, writeTracker('drain', handOverOffset(cluster))) },
    takeBack: {
      title: `give ${server} its priority back`,
      script: joinScripts([lockGuardUnlessTaken(lockId), writeTracker('drain', 0)]),
      byHand: writeTrackerByHand('drain', 0),
    },
    isForced: costs.length > 0,
    isRight: holder => !canMove || holder !== server,
  })
  const drained = outcome.problems.length === 0
  return {
    server,
    drained,
    survivesReboot: false,
    changed: drained,
    vips: results(scene, outcome, held),
    notes: drained ? [...costs, ...takersLeft(scene)] : [],
    failure: drained ? undefined : failure(server, 'no other server took its addresses over: the drain was undone', outcome.problems),
  }
}

/** Gives the server its priority back and waits until it has taken its addresses; the lock is held. */
export async function raise(scene: Scene, lockId: string): Promise<MoveReport> {
  const { cluster, node, nodes } = scene
  const server = node.server
  const back = takesBack(cluster, nodes, server)
  // The file that a boot reads goes first: stopped in between, the server is still drained, and says so.
  const script = sh`rm -f ${DRAIN_TMPFILES_CONF} && ${writeTracker('drain', 0)}`
  const outcome = await move(scene, {
    command: 'undrain',
    addresses: await measured(scene, back, server),
    title: back.length === 0 ? `${server} has its priority back` : `${server} holds ${back.join(', ')}`,
    change: { title: `give ${server} its priority back`, script: guarded(lockId, script) },
    takeBack: undefined,
    isForced: true,
    isRight: holder => holder === server,
  })
  const problems = nodeProblems(cluster, node)
  return {
    server,
    drained: false,
    survivesReboot: false,
    changed: true,
    vips: results(scene, outcome, back),
    notes: problems.length === 0 ? [] : [`${server} cannot take over yet: ${problems.join('; ')}`],
    failure:
      outcome.problems.length === 0 ? undefined : failure(server, 'undrained, but it has not taken its addresses back', outcome.problems),
  }
}

function refusalsOf({ cluster, node, nodes }: Scene): readonly string[] {
  return [...takerProblems(cluster, nodes, node.server), ...restlessProblems(cluster, nodes)]
}

/** What it costs to drain although nobody can take over. */
function costOf({ cluster, nodes, node }: Scene, held: readonly string[]): string {
  if (takerProblems(cluster, nodes, node.server).length === 0) return 'the virtual addresses may be on no server for a moment, or on two'
  if (held.length === 0) return 'the cluster has one server fewer that can take over'
  return handOverOffset(cluster) === -253
    ? `${held.join(', ')} stays on ${node.server} until another server is healthy, and moves to that server at once`
    : `${node.server} gives ${held.join(', ')} up: no server answers there until another server is healthy`
}

/** Said after a drain: whether the cluster can still lose a server. */
function takersLeft({ cluster, nodes, node }: Scene): readonly string[] {
  const left = nodes.filter(own => own !== node && nodeProblems(cluster, own).length === 0 && !isDrained(own)).map(own => own.server)
  return left.length === 1 ? [`${left[0]} is the only server left: no server can take over from it`] : []
}

/** A drain that is there already: kept as it is, and made to outlive a reboot where that is asked. */
async function keepDrained(input: DrainInput, scene: Scene): Promise<MoveReport> {
  const { node } = scene
  const survives = drainsAtBoot(node)
  if (!input.persist || survives) {
    const after = survives ? ', also after a reboot' : ''
    return nothingToDo(node.server, true, survives, `${node.server} is already drained${after}`)
  }
  return locked('drain', scene, async (now, lockId) => {
    await writePersistence(now, lockId)
    return {
      ...nothingToDo(node.server, true, true, `${node.server} was already drained; it now stays drained after a reboot`),
      changed: true,
    }
  })
}

function nothingToDo(server: string, drained: boolean, survivesReboot: boolean, note: string): MoveReport {
  return { server, drained, survivesReboot, changed: false, vips: [], notes: [note], failure: undefined }
}

async function writePersistence({ cluster, links, node }: Scene, lockId: string): Promise<void> {
  const temp = DRAIN_TMPFILES_CONF.replace(/[^/]+$/, '.hactl-drain.new')
  const result = await links
    .current(node.server)
    .run(guarded(lockId, shWith('persist.sh')`persist ${DRAIN_TMPFILES_CONF} ${temp} ${base64Literal(renderDrainTmpfiles(cluster))}`), {
      effect: 'change',
      label: 'make the drain survive a reboot',
      deadlineMs: FILE_DEADLINE_MS,
    })
  if (result.code === 0) return
  const lost = lockLost(result, node.server, 'make the drain survive a reboot')
  if (lost !== undefined) throw lost
  throw new HactlError({
    code: 'E_COMMAND_FAILED',
    server: node.server,
    what: `the server is drained, but a reboot would end the drain: ${DRAIN_TMPFILES_CONF} could not be written`,
    why: result.stderr.trim().split('\n').slice(-3),
    fix: `run hactl drain ${node.server} --persist again`,
  })
}

function guarded(lockId: string, script: Script): Script {
  return joinScripts([lockGuard(lockId), script])
}

async function assertConfirmed(input: MoveInput, what: MoveAnnouncement): Promise<void> {
  if (await input.confirm(what)) return
  throw new HactlError({
    code: 'E_DECLINED',
    what: 'the run was not confirmed; nothing was changed',
    fix: 'add --yes to drain or undrain without a question',
  })
}

function assertTracksDrain(node: ObservedNode): void {
  const { server } = node
  const isWatched = node.services.keepalived.active !== 'active' || node.trackers[TRACKER_FILES.drain] !== undefined
  if (tracksDrain(node) && isWatched) return
  const why = tracksDrain(node)
    ? `${TRACKER_FILES.drain} is missing, so keepalived no longer watches it`
    : 'its keepalived.conf has no track file for a drain: the classic profile cannot hand over without loss'
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server,
    what: 'this server cannot be drained',
    why: [why],
    fix: tracksDrain(node) ? 'run hactl deploy' : 'deploy the fast profile (profile: fast), then drain',
  })
}

function refused(server: string, why: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_UNHEALTHY',
    server,
    what: 'this server was not drained',
    why,
    fix: 'fix the servers named above, or undrain one; --force drains anyway',
  })
}

function failure(server: string, what: string, why: readonly string[]): HactlError {
  return new HactlError({ code: 'E_FAILOVER_NONE', server, what, why, fix: 'hactl status shows each server' })
}
