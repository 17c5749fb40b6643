/** Asks the service through a virtual address many times a second, each time over a new connection, and keeps the answers. */
import type { ProbeAnswer, Prober, ProbeTarget } from '../ports.ts'
import type { ProbeSample } from '../state/drill.ts'
import { LAST_ANSWER_MS } from './limits.ts'
import type { Watching } from './watching.ts'

/** At least 50 probes a second, with room for a timer that fires a little late. */
export const PROBE_INTERVAL_MS = 18
/** Where the controller stood still for longer, the probes that it missed are left out, not sent all at once. */
const CATCH_UP_MS = 200

/**
 * Once `stop` aborts, those on their way are awaited (they have target.timeoutMs each). Where the last one was lost, one is sent after
 * the other until one is answered, for LAST_ANSWER_MS at most.
 */
export interface ProbeRun extends Watching<ProbeSample> {
  readonly target: ProbeTarget
  readonly probe: Prober
  readonly intervalMs?: number
  /** No probe is sent later than this after the first. */
  readonly boundMs: number
}

/**
 * Sends one independent probe every interval, on a schedule that does not drift and does not wait for answers.
 * Resolves with the number sent once `stop` aborts or the bound is reached, and every answer is in; never rejects.
 */
export async function runProber(run: ProbeRun): Promise<number> {
  const { clock, stop } = run
  const intervalMs = run.intervalMs ?? PROBE_INTERVAL_MS
  const pending = new Set<Promise<boolean>>()
  let dueMs = clock.monotonic()
  const endMs = dueMs + run.boundMs
  let sent = 0
  let last = Promise.resolve(true)
  while (!stop.aborted) {
    const nowMs = clock.monotonic()
    if (nowMs >= endMs) break
    if (nowMs < dueMs) {
      try {
        await clock.sleep(dueMs - nowMs, stop)
      } catch {
        break
      }
      continue
    }
    sent++
    last = probeOnce(run, nowMs)
    const answer = last.finally(() => pending.delete(answer))
    pending.add(answer)
    dueMs = Math.max(dueMs + intervalMs, nowMs - CATCH_UP_MS)
  }
  await Promise.all(pending)
  const lastEndMs = clock.monotonic() + LAST_ANSWER_MS
  while (stop.aborted && !(await last) && clock.monotonic() < lastEndMs) {
    const sentMs = clock.monotonic()
    sent++
    last = probeOnce(run, sentMs)
    await last
    await clock.sleep(Math.max(0, sentMs + intervalMs - clock.monotonic()))
  }
  return sent
}

/** Whether it was answered. */
async function probeOnce(run: ProbeRun, sentMs: number): Promise<boolean> {
  let answer: ProbeAnswer
  try {
    answer = await run.probe(run.target)
  } catch (error) {
    // A probe that throws has no answer. To a user that is the same as a refused connection.
    answer = { ok: false, tookMs: run.clock.monotonic() - sentMs, error: error instanceof Error ? error.message : String(error) }
  }
  run.onSample({
    kind: 'probe',
    from: 'controller',
    sentMs,
    tookMs: answer.tookMs,
    ok: answer.ok,
    ...(answer.error === undefined ? {} : { error: answer.error }),
  })
  return answer.ok
}
