/** Moves addresses on purpose and measures it: changes one thing on one server and watches until they have moved; else undoes the change. */
import { asHactlError, HactlError } from '../errors.ts'
import type { Clock, Effect, Script, Session } from '../ports.ts'
import type { Sample } from '../state/drill.ts'
import type { EngineEvent } from './events.ts'
import { moveWatchMs } from './limits.ts'
import type { Links } from './links.ts'
import { succeed } from './succeed.ts'
import { undo } from './undo.ts'
import { type Change, type Until, watchUntilUndo } from './watch-until-undo.ts'
import type { SendProbes, WatchersRun } from './watchers.ts'

const LOOK_EVERY_MS = 50
const CHANGE_DEADLINE_MS = 15_000
/** After this the undo on a server that is lost in the middle of the change has failed. */
const UNDO_LIMIT_MS = 60_000

/** What is run on the server: shell that may run twice. */
interface Command {
  /** "lower the priority of srv-1". */
  readonly title: string
  readonly script: Script
}

export interface MeasuredAddress {
  readonly vip: string
  readonly sendProbes: SendProbes
}

/** Everything seen of one address: all servers' samples, and its own probes. */
export type SamplesOf = (vip: string) => readonly Sample[]

export interface MoveRun {
  readonly command: 'drain' | 'undrain'
  readonly server: string
  /** The addresses that are to move; with none, nothing is watched. */
  readonly addresses: readonly MeasuredAddress[]
  /** "another server holds 192.0.2.200". */
  readonly title: string
  /** Done once the baseline is good, before the change; goes away by itself. */
  readonly prepare: () => Promise<void>
  readonly change: Command
  /** Undoes the change wherever the move does not come about; undefined: the change stays. `byHand`: what an operator runs there. */
  readonly takeBack: (Command & { readonly byHand: string }) | undefined
  readonly limitMs: number
  /** Why it must not start; empty where it may. */
  readonly baselineProblems: (samplesOf: SamplesOf, nowMs: number) => readonly string[]
  /** What is still missing; empty once the addresses have moved for good. */
  readonly moveProblems: (samplesOf: SamplesOf, nowMs: number) => readonly string[]
  /** A last look at the server itself, after the move; bounded by who gives it. */
  readonly verify: () => Promise<readonly string[]>
  readonly links: Links
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly onEvent: (event: EngineEvent) => void
}

export interface MoveOutcome {
  /** Why the move did not come about, and was undone where it can be; empty where it did. */
  readonly problems: readonly string[]
  readonly samplesOf: SamplesOf
}

/**
 * Throws E_UNHEALTHY where the baseline is not good (nothing was changed), E_INTERRUPTED and any other fault after undoing the change,
 * E_UNDO_FAILED where that could not be done. E_LOCKED undoes nothing.
 */
export async function runMove(run: MoveRun): Promise<MoveOutcome> {
  const { command, server, addresses, title } = run
  const { samplesOf, watch } = moveWatch(run)
  const gate: MoveGate = { gate: 'move', title, servers: [server] }
  const missing: Missing = { problems: [] }
  await watchUntilUndo({
    watch,
    signal: run.signal,
    lookEveryMs: LOOK_EVERY_MS,
    tell(_, isOver) {
      const { problems } = missing
      if (problems.length > 0 && !isOver) run.onEvent({ kind: 'gate-waiting', ...gate, detail: problems.join('; ') })
    },
    baseline:
      addresses.length === 0
        ? undefined
        : {
            problems: nowMs => run.baselineProblems(samplesOf, nowMs),
            refusal: {
              server,
              what: `${command} not started: the virtual addresses are not healthy`,
              fix: 'run hactl status; nothing was changed',
            },
          },
    changeAt: index => (index === 0 ? changeOf(run, samplesOf, gate, missing) : undefined),
    // Without the lock nothing was changed, and whoever has it now may have lowered the server on purpose.
    isUndone: fault => (fault === undefined ? missing.problems.length > 0 : !isLocked(fault.thrown)),
  })
  return { problems: missing.problems, samplesOf }
}

interface MoveGate {
  readonly gate: 'move'
  readonly title: string
  readonly servers: readonly string[]
}

/** Why the move has not come about, as of the last look. */
interface Missing {
  problems: readonly string[]
}

function moveWatch({ addresses, clock, limitMs, links }: MoveRun): { readonly samplesOf: SamplesOf; readonly watch: WatchersRun } {
  const vips = addresses.map(address => address.vip)
  const samples = new Map<string, Sample[]>(vips.map(vip => [vip, []]))
  return {
    samplesOf: vip => samples.get(vip) ?? [],
    watch: {
      links,
      clock,
      look: { vips, units: [], trackers: [] },
      boundMs: moveWatchMs(limitMs, links.patience),
      onHolder: sample => {
        for (const list of samples.values()) list.push(sample)
      },
      others: addresses.map(
        ({ vip, sendProbes }) =>
          watch =>
            sendProbes({ ...watch, onSample: sample => samples.get(vip)?.push(sample) }),
      ),
    },
  }
}

function changeOf(run: MoveRun, samplesOf: SamplesOf, gate: MoveGate, missing: Missing): Change {
  const { clock } = run
  return {
    prepare: run.prepare,
    async make(until) {
      const startedMs = clock.monotonic()
      await send(run, run.links.current(run.server), run.change, 'change', run.signal)
      await untilMoved(run, samplesOf, missing, until)
      const { problems } = missing
      const durationMs = clock.monotonic() - startedMs
      if (problems.length === 0) run.onEvent({ kind: 'gate-passed', ...gate, durationMs })
      else run.onEvent({ kind: 'gate-failed', ...gate, durationMs, detail: problems.join('; ') })
      return false
    },
    undo: earlier => takeBack(run, earlier),
  }
}

async function untilMoved(run: MoveRun, samplesOf: SamplesOf, missing: Missing, until: Until): Promise<void> {
  const hasMoved = await until(run.limitMs, nowMs => {
    missing.problems = run.moveProblems(samplesOf, nowMs)
    return missing.problems.length === 0
  })
  if (hasMoved) missing.problems = await run.verify()
}

async function send(run: MoveRun, session: Session, { title, script }: Command, effect: Effect, signal?: AbortSignal): Promise<void> {
  const { server } = run
  await succeed(session, script, { effect, label: title, deadlineMs: CHANGE_DEADLINE_MS, signal }, ({ code }) => ({
    what: `"${title}" ended with status ${code}`,
    fix: `run journalctl -n 50 on ${server}; hactl status shows where the addresses are`,
  }))
}

async function takeBack(run: MoveRun, earlier: unknown): Promise<void> {
  const { clock, links, server, takeBack: command } = run
  if (command === undefined) return
  await undo({
    server,
    links,
    clock,
    endMs: clock.monotonic() + UNDO_LIMIT_MS * links.patience,
    maxRefusals: 1,
    async attempt(session) {
      await send(run, session, command, 'undo')
      return undefined
    },
    failed: (_, thrown) => (isLocked(thrown) ? notBesideAnother(run, earlier) : notUndone(run, command.byHand, earlier, thrown)),
  })
  run.onEvent({ kind: 'restored', server, title: command.title })
}

function isLocked(thrown: unknown): boolean {
  return thrown instanceof HactlError && thrown.code === 'E_LOCKED'
}

function notUndone({ server, change }: MoveRun, byHand: string, earlier: unknown, thrown: unknown): HactlError {
  return new HactlError({
    code: 'E_UNDO_FAILED',
    server,
    what: `"${change.title}" could not be undone on ${server}`,
    why: [asHactlError(thrown).message],
    fix: `on ${server}, as root: ${byHand}`,
    cause: earlier ?? thrown,
  })
}

/** Whoever has the lock now may be about to work on a server that is lowered. */
function notBesideAnother({ server, change }: MoveRun, earlier: unknown): HactlError {
  return new HactlError({
    code: 'E_UNDO_FAILED',
    server,
    what: `"${change.title}" was not undone on ${server}: another run has taken the lock`,
    why: ['this run showed no sign of life for too long, and the other one may need the server as it is'],
    fix: `when that run has ended, run hactl status; hactl undrain ${server} gives ${server} its priority back`,
    cause: earlier,
  })
}
