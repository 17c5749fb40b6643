/** Moves addresses on purpose and measures it: watch, change one thing on one server, watch until they have moved; else take it back. */
import { asHactlError, HactlError } from '../errors.ts'
import type { Clock, Effect, RunOptions, Script } from '../ports.ts'
import type { Sample } from '../state/drill.ts'
import type { EngineEvent } from './events.ts'
import { BASELINE_LIMIT_MS, moveWatchMs } from './limits.ts'
import { isLoss, type Links } from './links.ts'
import { lockLost } from './lock.ts'
import { lookEvery, type SendProbes, startWatchers, type Watchers } from './watchers.ts'

const BASELINE_MS = 1000
const LOOK_EVERY_MS = 50
const TELL_EVERY_MS = 250
const CHANGE_DEADLINE_MS = 15_000
/** Until a server that is lost in mid-change is given up. */
const TAKE_BACK_LIMIT_MS = 60_000
const RETRY_PAUSE_MS = 2000

/** One change on the server: shell that may run twice. */
interface Change {
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
  readonly change: Change
  /** Undoes the change wherever the move does not come about; undefined: the change stays. `byHand`: what an operator runs there. */
  readonly takeBack: (Change & { readonly byHand: string }) | undefined
  readonly limitMs: number
  /** Why it must not begin; empty where it may. */
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
  /** Why the move did not come about, and was taken back where it can be; empty where it did. */
  readonly problems: readonly string[]
  readonly samplesOf: SamplesOf
}

/**
 * Throws E_UNHEALTHY where the baseline is not good (nothing was changed), E_INTERRUPTED and any other fault after taking the change
 * back, E_UNDO_FAILED where that could not be done.
 */
export async function runMove(run: MoveRun): Promise<MoveOutcome> {
  const watch = startWatching(run)
  try {
    await seeBaseline(run, watch)
    const problems = await changeAndWatch(run, watch)
    return { problems, samplesOf: watch.samplesOf }
  } finally {
    await watch.end()
  }
}

interface Watching extends Watchers {
  readonly samplesOf: SamplesOf
}

function startWatching({ addresses, clock, limitMs, links }: MoveRun): Watching {
  const vips = addresses.map(address => address.vip)
  const samples = new Map<string, Sample[]>(vips.map(vip => [vip, []]))
  const watchers = startWatchers({
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
  })
  return { ...watchers, samplesOf: vip => samples.get(vip) ?? [] }
}

async function seeBaseline(run: MoveRun, watch: Watching): Promise<void> {
  if (run.addresses.length === 0) return
  const beginMs = run.clock.monotonic()
  const problems = (nowMs: number) =>
    nowMs - beginMs < BASELINE_MS ? ['the addresses have not been watched long enough yet'] : run.baselineProblems(watch.samplesOf, nowMs)
  const left = await lookUntil(run, watch, BASELINE_LIMIT_MS * run.links.patience, problems, undefined)
  if (left.length === 0) return
  throw new HactlError({
    code: 'E_UNHEALTHY',
    server: run.server,
    what: `${run.command} not started: the virtual addresses are not healthy`,
    why: left,
    fix: 'run hactl status; nothing was changed',
  })
}

async function changeAndWatch(run: MoveRun, watch: Watching): Promise<readonly string[]> {
  const { clock, server, title } = run
  // An interrupt during the baseline must not let the change begin.
  await clock.sleep(0, run.signal)
  await run.prepare()
  const startedMs = clock.monotonic()
  const gate = { gate: 'move', title, servers: [server] }
  let problems: readonly string[]
  try {
    await send(run, run.change, 'change', run.signal)
    problems = await lookUntil(run, watch, run.limitMs, now => run.moveProblems(watch.samplesOf, now), gate)
    if (problems.length === 0) problems = await run.verify()
  } catch (thrown) {
    // Without the lock nothing was changed, and whoever has it now may have lowered the server on purpose.
    if (!(thrown instanceof HactlError && thrown.code === 'E_LOCKED')) await takeBack(run, thrown)
    throw thrown
  }
  const durationMs = clock.monotonic() - startedMs
  if (problems.length === 0) run.onEvent({ kind: 'gate-passed', ...gate, durationMs })
  else {
    run.onEvent({ kind: 'gate-failed', ...gate, durationMs, detail: problems.join('; ') })
    await takeBack(run, undefined)
  }
  return problems
}

async function send(run: MoveRun, change: Change, effect: Effect, signal: AbortSignal | undefined): Promise<void> {
  const { server } = run
  const options: RunOptions = { effect, label: change.title, deadlineMs: CHANGE_DEADLINE_MS, signal }
  const result = await run.links.current(server).run(change.script, options)
  if (result.code === 0) return
  const lost = lockLost(result, server, change.title)
  if (lost !== undefined) throw lost
  throw new HactlError({
    code: 'E_COMMAND_FAILED',
    server,
    what: `"${change.title}" ended with status ${result.code}`,
    why: result.stderr.trim().split('\n').slice(-3),
    fix: `run journalctl -n 50 on ${server}; hactl status shows where the addresses are`,
  })
}

/** No signal stops it; over a lost connection it connects anew, for a bounded time. */
async function takeBack(run: MoveRun, earlier: unknown): Promise<void> {
  const { clock, server, takeBack: change } = run
  if (change === undefined) return
  const endMs = clock.monotonic() + TAKE_BACK_LIMIT_MS * run.links.patience
  let session = run.links.current(server)
  let lost = false
  for (;;) {
    try {
      if (lost) session = await run.links.renew(session)
      await send(run, change, 'undo', undefined)
      run.onEvent({ kind: 'restored', server, title: change.title })
      return
    } catch (thrown) {
      lost = isLoss(thrown)
      if (lost && clock.monotonic() + RETRY_PAUSE_MS < endMs) {
        await clock.sleep(RETRY_PAUSE_MS)
        continue
      }
      if (thrown instanceof HactlError && thrown.code === 'E_LOCKED') throw notBesideAnother(run, earlier)
      throw new HactlError({
        code: 'E_UNDO_FAILED',
        server,
        what: `"${run.change.title}" could not be undone on ${server}`,
        why: [asHactlError(thrown).message],
        fix: `on ${server}, as root: ${change.byHand}`,
        cause: earlier ?? thrown,
      })
    }
  }
}

/** Whoever has the lock now may be about to work on a server that is lowered. */
function notBesideAnother({ server, change }: MoveRun, earlier: unknown): HactlError {
  return new HactlError({
    code: 'E_UNDO_FAILED',
    server,
    what: `"${change.title}" was not undone on ${server}: another run has taken the lock over`,
    why: ['this run showed no sign of life for too long, and the other one may need the server as it is'],
    fix: `when that run has ended, run hactl status; hactl undrain ${server} gives ${server} its priority back`,
    cause: earlier,
  })
}

/** Looks at the samples until nothing is missing any more or the limit has passed; what is missing then. */
async function lookUntil(
  run: MoveRun,
  watch: Watching,
  limitMs: number,
  problemsAt: (nowMs: number) => readonly string[],
  gate: { readonly gate: string; readonly title: string; readonly servers: readonly string[] } | undefined,
): Promise<readonly string[]> {
  const { clock, signal } = run
  let problems: readonly string[] = []
  let toldMs = Number.NEGATIVE_INFINITY
  await lookEvery(watch, { clock, signal, everyMs: LOOK_EVERY_MS, limitMs }, (nowMs, isLast) => {
    problems = problemsAt(nowMs)
    if (problems.length > 0 && !isLast && gate !== undefined && nowMs - toldMs >= TELL_EVERY_MS) {
      toldMs = nowMs
      run.onEvent({ kind: 'gate-waiting', ...gate, detail: problems.join('; ') })
    }
    return problems.length === 0
  })
  return problems
}
