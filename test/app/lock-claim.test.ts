import { expect, test } from 'vitest'
import { runIdFor } from '../../src/app/lock-claim.ts'
import { manualClock } from '../support/clock.ts'
import { memoryPorts } from '../support/memory-ports.ts'

test('runs that start in the same second get ids in the order of their start, so that a history is sorted correctly', () => {
  const idAt = (ms: number) =>
    runIdFor(memoryPorts(new Map(), { clock: { ...manualClock(), now: () => Date.UTC(2026, 10, 22, 20, 34, 55, ms) } }))
  const ids = [0, 1, 9, 10, 99, 255, 256, 999].map(idAt)
  expect(ids.toSorted()).toEqual(ids)
  for (const id of ids) expect(id).toMatch(/^20261122T203455Z-[0-9a-f]{6}$/)
  // One of some thousand pairs may be equal, but not all of eight.
  expect(new Set(Array.from({ length: 8 }, () => idAt(7))).size).toBeGreaterThan(1)
})
