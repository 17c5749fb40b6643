/** Lowers a server so that another takes its addresses over, and raises it again. Both under the lock, both measured. */
import { addressesOn, drainNotes, renderDrainTmpfiles, takerProblems, takesBack } from '../../domain/drain.ts'
import { nodeProblems } from '../../domain/health.ts'
import type { StillOpen } from '../../domain/open-connections/still-open.ts'
import { DRAIN_TMPFILES_CONF } from '../../domain/paths.ts'
import { handOverOffset, writeTracker, writeTrackerByHand } from '../../domain/trackers.ts'
import { HactlError } from '../../errors.ts'
import type { RunOptions, Script } from '../../ports.ts'
import { base64Literal, joinScripts, sh, shWith } from '../../shell/sh.ts'
import { lockGuard, lockGuardUnlessTaken } from '../lock.ts'
import { succeed } from '../succeed.ts'
import { measured, move, type MovedAddress, results } from './move.ts'
import type { LockedScene } from './scene.ts'

const FILE_DEADLINE_MS = 15_000

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
  /** Of a drain: what is still open there to addresses that have left; undefined where the server does not know. */
  readonly open?: readonly StillOpen[] | undefined
  /** Why the addresses did not move; a drain was then undone. Or, with `drained`, why it was not waited until nothing was open. */
  readonly failure: HactlError | undefined
}

/**
 * Lowers the server below all others and waits until another holds its addresses. `costs`: what was overruled, and what that costs; with
 * any of it the addresses need not be healthy before. A move that did not come about is undone and reported as `failure`.
 * Throws what `move` throws.
 */
export async function lower(scene: LockedScene, costs: readonly string[]): Promise<MoveReport> {
  const { cluster, node, nodes } = scene
  const { server } = node
  const held = addressesOn(cluster, node)
  const canMove = takerProblems(cluster, nodes, server).length === 0
  // Lowered by FAULT the server gives its addresses up although no other takes them: then there is nothing to watch for.
  const staysUp = canMove || handOverOffset(cluster) === -253
  const outcome = await move(scene, {
    command: 'drain',
    addresses: await measured(scene, staysUp ? held : [], server),
    title: held.length === 0 || !canMove ? `the priority of ${server} is lowered` : `another server holds ${held.join(', ')}`,
    change: { title: `lower the priority of ${server}`, script: guarded(scene, writeTracker('drain', handOverOffset(cluster))) },
    takeBack: {
      title: `give ${server} its priority back`,
      script: joinScripts([lockGuardUnlessTaken(scene.lock.id), writeTracker('drain', 0)]),
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
    notes: drained ? [...costs, ...drainNotes(cluster, nodes, server)] : [],
    failure: drained ? undefined : notMoved(server, 'no other server took its addresses over: the drain was undone', outcome.problems),
  }
}

/**
 * Gives the server its priority back and waits until it has taken the addresses that are its own; nothing is undone here. Throws what
 * `move` throws.
 */
export async function raise(scene: LockedScene): Promise<MoveReport> {
  const { cluster, node, nodes } = scene
  const { server } = node
  const back = takesBack(cluster, nodes, server)
  // The file that a boot reads goes first: stopped in between, the server is still drained, and says so.
  const script = sh`rm -f ${DRAIN_TMPFILES_CONF} && ${writeTracker('drain', 0)}`
  const outcome = await move(scene, {
    command: 'undrain',
    addresses: await measured(scene, back, server),
    title: back.length === 0 ? `${server} has its priority back` : `${server} holds ${back.join(', ')}`,
    change: { title: `give ${server} its priority back`, script: guarded(scene, script) },
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
      outcome.problems.length === 0 ? undefined : notMoved(server, 'undrained, but it has not taken its addresses back', outcome.problems),
  }
}

/** Has every boot of the server drain it again. Throws E_LOCKED, E_COMMAND_FAILED and what Session.run throws. */
export async function persistDrain(scene: LockedScene): Promise<void> {
  const { cluster, links, node } = scene
  const { server } = node
  const label = 'make the drain survive a reboot'
  const temp = DRAIN_TMPFILES_CONF.replace(/[^/]+$/, '.hactl-drain.new')
  const script = shWith('persist.sh')`persist ${DRAIN_TMPFILES_CONF} ${temp} ${base64Literal(renderDrainTmpfiles(cluster))}`
  const options: RunOptions = { effect: 'change', label, deadlineMs: FILE_DEADLINE_MS }
  await succeed(links.current(server), guarded(scene, script), options, () => ({
    what: `the server is drained, but a reboot would end the drain: ${DRAIN_TMPFILES_CONF} could not be written`,
    fix: `run hactl drain ${server} --persist again`,
  }))
}

function guarded({ lock }: LockedScene, script: Script): Script {
  return joinScripts([lockGuard(lock.id), script])
}

function notMoved(server: string, what: string, why: readonly string[]): HactlError {
  return new HactlError({ code: 'E_FAILOVER_NONE', server, what, why, fix: 'hactl status shows each server' })
}
