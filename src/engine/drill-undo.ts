/** The way back from a disturbance: a timer on the server that needs no controller, and the controller's own undo. */
import { HactlError } from '../errors.ts'
import type { Clock, Script, Session } from '../ports.ts'
import { joinScripts, scriptWord, sh, shWith, systemdWord } from '../shell/sh.ts'
import type { Disturbance } from '../state/drill.ts'
import { AFTER_TIMER_MS, SYSTEMCTL_DEADLINE_MS, UNDO_DEADLINE_MS, withStop } from './limits.ts'
import type { Links } from './links.ts'
import { undo } from './undo.ts'

const undoTimer = shWith('undo-timer.sh')

/** An undo that the server refused this often will be refused again. */
const MAX_REFUSALS = 3

export interface UndoPlan {
  /** Short and random; part of the timer's name. */
  readonly id: string
  readonly server: string
  readonly disturbance: Disturbance
  /** From arming. */
  readonly undoAfterMs: number
  /** How long the server may take to boot before it can be undone, in ms; 0 where it does not boot. */
  readonly bootMs: number
  /** See withStop. */
  readonly stopMs: number
}

/** Name of the timer and its service, without suffix. */
function undoUnit(id: string): string {
  if (!/^[a-z0-9]{4,16}$/.test(id)) throw new HactlError({ code: 'E_INTERNAL', what: `"${id}" cannot be a drill's id` })
  return `hactl-undo-${id}`
}

/** Starts the timer that undoes the disturbance without the controller, and sees that it runs. Throws E_UNHEALTHY where it does not. */
export async function armUndo(session: Session, plan: UndoPlan, signal?: AbortSignal): Promise<void> {
  const result = await session.run(armScript(plan), {
    // A timer that could not be armed leaves nothing: systemd forgets a unit that has ended (systemd-run(1), --collect).
    effect: 'all-or-nothing',
    label: 'arm the undo on this server',
    deadlineMs: SYSTEMCTL_DEADLINE_MS,
    signal,
  })
  if (result.code === 0) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server: plan.server,
    what: `the undo could not be armed on ${plan.server}, so nothing was disturbed`,
    why: lastLines(result.stderr),
    fix: 'check that systemd-run works there: systemd-run --on-active=5s /bin/true',
  })
}

function armScript(plan: UndoPlan): Script {
  return undoTimer`arm_undo ${undoUnit(plan.id)} ${Math.ceil(plan.undoAfterMs / 1000)} ${systemdWord(plan.disturbance.undo)}`
}

/** Ends the script of which it is a part where the timer has fired already. */
export function stillArmed(plan: UndoPlan): Script {
  return undoTimer`still_armed ${undoUnit(plan.id)}`
}

/** The undo and its confirmation each have a shell of their own, which they may end. */
function undoScript({ undo, confirm }: Disturbance): Script {
  return joinScripts([sh`/bin/sh -c ${scriptWord(undo)}`, sh`/bin/sh -c ${scriptWord(confirm)}`])
}

/** Takes the timer away; only after the undo was confirmed, or where nothing was disturbed. */
export async function disarmUndo(session: Session, plan: UndoPlan): Promise<void> {
  const timer = `${undoUnit(plan.id)}.timer`
  await session.run(sh`systemctl stop ${timer}`, { effect: 'undo', label: 'remove the undo timer', deadlineMs: SYSTEMCTL_DEADLINE_MS })
}

export interface UndoRun {
  readonly plan: UndoPlan
  readonly links: Links
  readonly clock: Clock
  /** When the timer was armed at the latest, on the clock's monotonic axis. */
  readonly armedMs: number
  /** What stopped the drill before its undo, if anything did: kept as the cause where the undo fails as well. */
  readonly earlier: unknown
  readonly onWaiting: (text: string) => void
}

/**
 * Undoes the disturbance and sees that it is undone; no signal stops it. After a lost connection it connects again, until some seconds
 * after the server's own timer must have fired. Throws E_UNDO_FAILED, which names the server and the command to run.
 */
export async function undoDisturbance(run: UndoRun): Promise<void> {
  const { plan, links, clock } = run
  const { server, disturbance, bootMs, stopMs } = plan
  const boots = bootMs > 0
  const healsMs = run.armedMs + plan.undoAfterMs
  const secondsToTimer = () => Math.ceil((healsMs - clock.monotonic()) / 1000)
  await undo({
    server,
    links,
    clock,
    endMs: Math.max(healsMs, clock.monotonic() + bootMs) + withStop(AFTER_TIMER_MS, stopMs) * links.patience,
    maxRefusals: boots ? Number.POSITIVE_INFINITY : MAX_REFUSALS,
    async attempt(session) {
      const result = await session.run(undoScript(disturbance), {
        effect: 'undo',
        label: disturbance.undoTitle,
        // A server that goes down in the middle of it will not answer: nothing is won by waiting longer.
        deadlineMs: boots ? SYSTEMCTL_DEADLINE_MS : withStop(UNDO_DEADLINE_MS, stopMs),
      })
      return result.code === 0 ? undefined : lastLines(result.stderr)
    },
    onLost() {
      if (boots) run.onWaiting(`${server} cannot be reached yet: it boots`)
      else if (secondsToTimer() > 0) {
        run.onWaiting(`${server} cannot be reached; its own timer will ${disturbance.undoTitle} in ${secondsToTimer()} s`)
      }
    },
    failed(why, thrown) {
      const timer = secondsToTimer() > 0 && !boots ? [`the server's own timer tries once more in ${secondsToTimer()} s`] : []
      return new HactlError({
        code: 'E_UNDO_FAILED',
        server,
        what: `"${disturbance.title}" could not be undone on ${server}`,
        why: [...new Set([...why, ...timer])],
        fix: `on ${server}, as root: ${disturbance.byHand}`,
        cause: run.earlier ?? thrown,
      })
    },
  })
}

function lastLines(text: string): readonly string[] {
  return text
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .slice(-3)
}
