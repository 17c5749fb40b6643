/** What must be true between hactl's limits, so that a server that is slow, busy or far away is no fault of theirs. */
import { expect, test } from 'vitest'
import {
  AFTER_TIMER_MS,
  BEAT_MS,
  CLOCK_SET_BACK_SECONDS,
  LOCK_EXPIRES_SECONDS,
  STOP_GRACE_MS,
  UNDO_DEADLINE_MS,
  UNDO_RETRY_MS,
} from '../../src/engine/limits.ts'

test('one heartbeat may be missed, and the next may take all of its time, before another run takes the lock for a dead one', () => {
  const missedMs = BEAT_MS + STOP_GRACE_MS
  expect(BEAT_MS + missedMs + BEAT_MS).toBeLessThanOrEqual(LOCK_EXPIRES_SECONDS * 1000)
})

test('whoever finds a heartbeat in the future waits for longer than from one to the next', () => {
  expect(CLOCK_SET_BACK_SECONDS * 1000).toBeGreaterThan(BEAT_MS)
})

test('an undo that is cut off while the timer does its work is followed by another attempt', () => {
  expect(AFTER_TIMER_MS).toBeGreaterThanOrEqual(UNDO_DEADLINE_MS + STOP_GRACE_MS + UNDO_RETRY_MS)
})
