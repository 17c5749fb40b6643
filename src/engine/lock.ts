import { HactlError } from '../errors.ts'
import type { Clock, CommandResult, Script, Session } from '../ports.ts'
import { LOCK_LOST_STATUS } from './apply/report.ts'
import { BEAT_MS, CLOCK_SET_BACK_SECONDS, LOCK_DEADLINE_MS, LOCK_EXPIRES_SECONDS } from './limits.ts'
import { FORMAT_VARIABLES, formatRefused } from './server-state/format.ts'
import { onState, STATE } from './server-state/layout.ts'

export const BUSY_STATUS = 96

const HELD_VARIABLES = { LOCK_LOST_STATUS }
const held = onState('lock-held.sh', HELD_VARIABLES)
const LOCK_VARIABLES = { ...HELD_VARIABLES, LOCK_EXPIRES_SECONDS, CLOCK_SET_BACK_SECONDS, BUSY_STATUS }
const lock = onState('lock.sh', LOCK_VARIABLES)
const taking = onState('take-lock.sh', { ...LOCK_VARIABLES, ...FORMAT_VARIABLES })

export interface LockClaim {
  /** Unique for this run. */
  readonly id: string
  /** Who: "ops@laptop". */
  readonly owner: string
  /** What for: "deploy". */
  readonly reason: string
}

/**
 * Runs `work` while holding the cluster's lock on all given servers. The first one is locked first, so that one of two runs wins. The lock is
 * a folder with a heartbeat, which each server judges by its own clock. Throws E_LOCKED, which names the owner, and what `work` throws.
 */
export async function withLock<T>(
  sessions: readonly Session[],
  claim: LockClaim,
  clock: Clock,
  work: () => Promise<T>,
  /** The connection that took the place of a lost one. */
  current: (session: Session) => Session = session => session,
): Promise<T> {
  // The lock is released on every server that was asked: a server may have granted it although its answer was lost.
  const asked: Session[] = []
  const take = (session: Session) => {
    asked.push(session)
    return takeLock(session, claim)
  }
  try {
    const [first, ...rest] = sessions
    if (first !== undefined) await take(first)
    const stop = new AbortController()
    // From the first one on: the others may take longer than that one lasts.
    const beating = beat(() => asked.map(current), claim, clock, stop.signal)
    try {
      const outcomes = await Promise.allSettled(rest.map(take))
      const refused = outcomes.find(outcome => outcome.status === 'rejected')
      if (refused?.status === 'rejected') throw refused.reason
      return await work()
    } finally {
      stop.abort()
      await beating
    }
  } finally {
    await Promise.allSettled(
      asked.map(session =>
        current(session).run(held`release_lock ${claim.id}`, { effect: 'none', label: 'release the lock', deadlineMs: LOCK_DEADLINE_MS }),
      ),
    )
  }
}

async function takeLock(session: Session, claim: LockClaim): Promise<void> {
  const result = await session.run(taking`take_lock ${claim.id} ${claim.owner} ${claim.reason}`, {
    effect: 'none',
    label: 'take the lock',
    deadlineMs: LOCK_DEADLINE_MS,
  })
  if (result.code === 0) return
  const busy = lockedByOther(result, session.server)
  if (busy !== undefined) throw busy
  const refused = formatRefused(result, session.server)
  if (refused !== undefined) throw refused
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server: session.server,
    what: `the lock under ${STATE.STATE_DIR} could not be created`,
    why: result.stderr.trim().split('\n').slice(-3),
    fix: `look at the disk of ${session.server}: df -h /var`,
  })
}

/** Whether a heartbeat of this age may be that of a dead run. A negative age lies in the future: the server's clock was set back. */
export function mayBeDead(ageSeconds: number): boolean {
  return ageSeconds > LOCK_EXPIRES_SECONDS || ageSeconds < 0
}

/** Ends a script with LOCK_LOST_STATUS unless this run still holds the lock. It counts as a heartbeat. */
export function lockGuard(id: string): Script {
  return held`lock_guard ${id}`
}

/**
 * As lockGuard, for an undo. A lock that was broken and that no other run has taken since is taken again. `evidence`: a file that stands on
 * this server until another run has succeeded there, which removes it.
 */
export function lockGuardForUndo({ id, owner }: Pick<LockClaim, 'id' | 'owner'>, evidence: string): Script {
  return held`lock_guard_for_undo ${id} ${owner} ${evidence}`
}

/** As lockGuard, for an undo that may run without the lock, but not beside a run that holds it now. */
export function lockGuardUnlessTaken(id: string): Script {
  return held`lock_guard_unless_taken ${id}`
}

/** Ends a script where a living run holds the lock, so that a run without a lock touches nothing of that run. */
export function freeGuard(): Script {
  return lock`free_guard`
}

/** E_LOCKED (5), which names the owner, where freeGuard or take_lock ended a script; undefined for any other end. */
export function lockedByOther(result: CommandResult, server: string): HactlError | undefined {
  if (result.code !== BUSY_STATUS) return undefined
  const value = (key: string) => new RegExp(`^${key} (.*)$`, 'm').exec(result.stdout)?.[1] ?? 'unknown'
  return new HactlError({
    code: 'E_LOCKED',
    server,
    what: `another run of hactl works on this cluster: ${value('owner')}, ${value('reason')}`,
    why: [`its last sign of life was ${value('age')} s ago; a dead run's lock is free after ${LOCK_EXPIRES_SECONDS} s`],
    fix: 'wait for it to end; hactl unlock breaks the lock of a run that is certainly dead',
  })
}

/** E_LOCKED where lockGuard ended a script before it did anything; undefined for any other end. */
export function lockLost(result: CommandResult, server: string, label: string): HactlError | undefined {
  if (result.code !== LOCK_LOST_STATUS) return undefined
  return new HactlError({
    code: 'E_LOCKED',
    server,
    what: 'the lock of this run was broken by somebody else',
    why: [`nothing was done in this step: ${label}`],
    fix: 'find out who works on this cluster, then run again',
  })
}

async function beat(sessions: () => readonly Session[], claim: LockClaim, clock: Clock, stop: AbortSignal): Promise<void> {
  const script = held`renew_lock ${claim.id}`
  let beganMs = clock.monotonic()
  while (!stop.aborted) {
    try {
      // From beginning to beginning: a beat that a slow server takes its time for, or that is missed, must not put off the next.
      await clock.sleep(Math.max(0, beganMs + BEAT_MS - clock.monotonic()), stop)
    } catch {
      return
    }
    beganMs = clock.monotonic()
    // A missed beat is no error by itself. The next script on that server notices a lost connection, and its guard a lost lock.
    await Promise.allSettled(
      sessions().map(session => session.run(script, { effect: 'none', label: 'renew the lock', deadlineMs: BEAT_MS, hasFixedLimit: true })),
    )
  }
}

/** Removes the lock of a dead run, or of any run where `force`; resolves to whether it is gone. */
export async function breakLock(session: Session, force: boolean): Promise<boolean> {
  const result = await session.run(lock`break_lock ${force ? 'force' : 'dead'}`, {
    effect: 'none',
    label: 'break the lock',
    deadlineMs: LOCK_DEADLINE_MS,
  })
  return result.code === 0
}
