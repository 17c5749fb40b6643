import { expect, test } from 'vitest'
import { whyNobodyTook } from '../../../src/domain/failover/diagnosis.ts'
import type { ObservedInstance } from '../../../src/state/instance.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'

interface Running {
  readonly state?: ObservedInstance['state']
  readonly nopreempt?: boolean
}

/** Priorities of srv-1 (the master), srv-2 and srv-3. */
function running(priorities: readonly number[], { nopreempt = false, state = 'BACKUP' }: Running = {}): readonly ObservedNode[] {
  return priorities.map((effectivePriority, index) => {
    const instance: Partial<ObservedInstance> = { name: 'VRRP1', state: index === 0 ? 'MASTER' : state, effectivePriority, nopreempt }
    // Nothing else of a server is looked at.
    return { server: `srv-${index + 1}`, instances: [instance] } as unknown as ObservedNode
  })
}

const why = (before: readonly ObservedNode[], meanwhile: readonly ObservedNode[]) => whyNobodyTook(before, meanwhile, 'VRRP1', 'srv-1')

test('names a weight that is smaller than the gap between the priorities', () => {
  expect(why(running([155, 104, 103]), running([152, 104, 103]))).toBe(
    'the weight is too small: srv-1 drops from 155 to 152, and the best of the others, srv-2, has only 104',
  )
})

test('names a check that does not fail', () => {
  expect(why(running([105, 104, 103]), running([105, 104, 103]))).toMatch(/^keepalived on srv-1 has not noticed: its priority is still 105/)
})

test('names backups that may not preempt', () => {
  const before = running([105, 104, 103], { nopreempt: true })
  expect(why(before, running([100, 104, 103], { nopreempt: true }))).toMatch(
    /^srv-2 has priority 104, more than srv-1 with 100, but nopreempt/,
  )
})

test('says that no other server could take over', () => {
  expect(why(running([105, 104]), running([100, 104], { state: 'FAULT' }))).toBe('no other server can take over')
})

test('gives no reason where the figures say that a server should have taken over', () => {
  expect(why(running([105, 104]), running([100, 104]))).toBeUndefined()
  expect(why(running([105, 104]), [])).toBeUndefined()
})
