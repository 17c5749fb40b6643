/** A Clock whose time does not move until a test moves it: no test ever waits. */
import { HactlError } from '../../src/errors.ts'
import type { Clock } from '../../src/ports.ts'

export interface ManualClock extends Clock {
  /** Moves time on, waking every sleeper in its turn. */
  advance(ms: number): Promise<void>
  /** Moves time on, from sleeper to sleeper, until the promise is settled. Fails when nobody sleeps any more, or after limitMs of the clock's time. */
  settle<T>(promise: Promise<T>, limitMs?: number): Promise<T>
}

interface Sleeper {
  readonly wakesAt: number
  readonly wake: () => void
}

export function manualClock(startMs = 1_000_000): ManualClock {
  let nowMs = startMs
  const sleepers = new Set<Sleeper>()
  const next = (): Sleeper | undefined => [...sleepers].sort((a, b) => a.wakesAt - b.wakesAt)[0]

  const wakeUpTo = async (untilMs: number): Promise<void> => {
    await flush()
    for (let sleeper = next(); sleeper !== undefined && sleeper.wakesAt <= untilMs; sleeper = next()) {
      nowMs = Math.max(nowMs, sleeper.wakesAt)
      sleepers.delete(sleeper)
      sleeper.wake()
      await flush()
    }
  }

  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(interrupted())
        const sleeper = {
          wakesAt: nowMs + ms,
          wake: () => {
            signal?.removeEventListener('abort', abort)
            resolve()
          },
        }
        const abort = () => {
          sleepers.delete(sleeper)
          reject(interrupted())
        }
        signal?.addEventListener('abort', abort, { once: true })
        sleepers.add(sleeper)
      })
    },
    async advance(ms) {
      const untilMs = nowMs + ms
      await wakeUpTo(untilMs)
      nowMs = untilMs
    },
    async settle(promise, limitMs = 600_000) {
      const endMs = nowMs + limitMs
      let isSettled = false
      const settled = () => {
        isSettled = true
      }
      promise.then(settled, settled)
      await flush()
      while (!isSettled) {
        const sleeper = next()
        if (sleeper === undefined) throw new Error('the promise waits for something that is not time')
        if (sleeper.wakesAt > endMs) throw new Error(`the promise is not settled after ${limitMs} ms`)
        await wakeUpTo(sleeper.wakesAt)
      }
      return promise
    },
  }
}

/** What the ports' contract asks of whatever an abort ends. */
export function interrupted(): HactlError {
  return new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })
}

// Two turns of the event loop: promise chains end in the first, what they start in setImmediate in the second.
async function flush(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise(resolve => setImmediate(resolve))
}
