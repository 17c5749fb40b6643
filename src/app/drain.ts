import { addressesOn, drainCost, drainProblems } from '../domain/drain.ts'
import { drainsAtBoot, isDrained, TRACKER_FILES, tracksDrain } from '../domain/trackers.ts'
import { lower, type MoveReport, persistDrain } from '../engine/operations/lower.ts'
import { announced, cutsBefore } from '../engine/operations/move.ts'
import { type OnEvent, underLock } from '../engine/operations/run.ts'
import { lookAgain, type Scene } from '../engine/operations/scene.ts'
import { nothingToWaitFor, stillOpen, untilFree } from '../engine/operations/windows.ts'
import { asHactlError, HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { ObservedNode } from '../state/observed.ts'
import { assertMoveConfirmed, type MoveInput, nothingToDo, withScene } from './one-server.ts'

export interface DrainInput extends MoveInput {
  /** Drain it again at every boot, until it is undrained. */
  readonly persist: boolean
  /** Also where no server is left to take over, or the addresses are not as they should be. */
  readonly force: boolean
  /** The longest wait until nothing is open there to addresses that have left, in ms; undefined: do not wait. */
  readonly waitMs: number | undefined
}

/**
 * Lowers a server below all others, waits until another holds its addresses, and measures what users notice of it.
 * Throws E_USAGE, E_UNHEALTHY (no server can take over, no track file: nothing was changed), E_DECLINED, E_LOCKED, E_UNDO_FAILED and what
 * connecting and reading throw. A drain after which no server took over is undone and reported as `failure`. Where connections are still open
 * at the end of `waitMs`, the server stays drained, and `failure` is E_STILL_OPEN.
 */
export async function drain(input: DrainInput, ports: Ports, onEvent: OnEvent): Promise<MoveReport> {
  return withScene('drain', input, ports, onEvent, async scene => {
    assertTracksDrain(scene.node)
    const report = await (isDrained(scene.node) ? keepDrained(input, scene) : lowered(input, scene))
    // Without the lock: it changes nothing, and others may have work to do meanwhile.
    return report.drained ? waited(input, scene, report) : report
  })
}

async function lowered(input: DrainInput, scene: Scene): Promise<MoveReport> {
  const { server } = input
  const { cluster, node, nodes } = scene
  const overruled = problemsUnlessForced(input, scene)
  const costs = overruled.length === 0 ? [] : [...overruled, drainCost(cluster, nodes, node)]
  const held = addressesOn(cluster, node)
  const isTaker = (other: string) => other !== server
  const vips = await announced(scene, held, isTaker)
  const warnings = [...costs, ...cutsBefore(scene, held, isTaker)]
  await assertMoveConfirmed(input, { command: 'drain', server, vips, warnings })
  return underLock(scene, async locked => {
    const now = await lookAgain(locked, server)
    problemsUnlessForced(input, now)
    const report = await lower(now, costs)
    if (!input.persist || report.failure !== undefined) return report
    await persistDrain(now)
    return { ...report, survivesReboot: true }
  })
}

/** The report with what is still open on the drained server, and after a wait for it where one is asked for. */
async function waited({ server, waitMs }: DrainInput, scene: Scene, report: MoveReport): Promise<MoveReport> {
  const stays = `${server} stays drained, and nothing was cut`
  try {
    const { open, nothing, problems } = await untilFree(scene, server, { waitMs, mayHold: false })
    const said = problems.map(problem => (problem.startsWith(`${server} `) ? problem : `${server}: ${problem}`))
    if (waitMs === undefined) return { ...report, open, notes: [...report.notes, ...said] }
    if (problems.length > 0) {
      return { ...report, open, failure: stillOpen(server, waitMs, [...problems, stays], 'a stop of haproxy ends them after stop_timeout') }
    }
    const note = nothing === undefined ? `no connection is open on ${server}` : nothingToWaitFor(nothing)
    return { ...report, open, notes: [...report.notes, note] }
  } catch (thrown) {
    const { code, message, why, fix } = asHactlError(thrown)
    if (waitMs === undefined && (code === 'E_INTERRUPTED' || code === 'E_INTERNAL')) throw thrown
    if (waitMs === undefined) return { ...report, notes: [...report.notes, `${server}: what is still open is not known: ${message}`] }
    const what = code === 'E_INTERRUPTED' ? 'interrupted while open connections ended' : `what is still open is not known: ${message}`
    const failure = new HactlError({ code, server, what, why: [...why, stays], fix: fix ?? `hactl undrain ${server}`, cause: thrown })
    return { ...report, failure }
  }
}

/** A drain that is there already: kept as it is, and made to outlive a reboot where that is asked. */
async function keepDrained({ persist, server }: DrainInput, scene: Scene): Promise<MoveReport> {
  const survivesReboot = drainsAtBoot(scene.node)
  if (!persist || survivesReboot) {
    const after = survivesReboot ? ', also after a reboot' : ''
    return nothingToDo(server, { drained: true, survivesReboot }, `${server} is already drained${after}`)
  }
  return underLock(scene, async locked => {
    await persistDrain(await lookAgain(locked, server))
    const note = `${server} was already drained; it now stays drained after a reboot`
    return { ...nothingToDo(server, { drained: true, survivesReboot: true }, note), changed: true }
  })
}

/** What --force overrules. Throws E_UNHEALTHY for it without --force. */
function problemsUnlessForced({ server, force }: DrainInput, { cluster, nodes }: Scene): readonly string[] {
  const problems = drainProblems(cluster, nodes, server)
  if (problems.length === 0 || force) return problems
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server,
    what: 'this server was not drained',
    why: problems,
    fix: 'fix the servers named above, or undrain one; --force drains anyway',
  })
}

/** Throws E_UNHEALTHY where keepalived would not notice a drain. */
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
