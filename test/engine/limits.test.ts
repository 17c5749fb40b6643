/** What must be true between hactl's limits, so that a server that is slow, busy or far away is no fault of theirs. */
import { expect, test } from 'vitest'
import { AFTER_TIMER_MS, STOP_GRACE_MS, UNDO_DEADLINE_MS, UNDO_RETRY_MS } from '../../src/engine/limits.ts'

test('an undo that is cut off while the timer does its work is followed by another attempt', () => {
  expect(AFTER_TIMER_MS).toBeGreaterThanOrEqual(UNDO_DEADLINE_MS + STOP_GRACE_MS + UNDO_RETRY_MS)
})
