import { describe, expect, test } from 'vitest'
import type { Candidate } from '../../../src/domain/vrrp/priority.ts'
import { effectivePriority, ownerOf, weightContribution } from '../../../src/domain/vrrp/priority.ts'

describe('effective priority', () => {
  test.for([
    [5, true, 5],
    [5, false, 0],
    [-5, true, 0],
    [-5, false, -5],
    [0, true, 0],
    [0, false, 0],
  ] as const)('a weight of %i, passing %s, adds %i', ([weight, passing, added]) => {
    expect(weightContribution(weight, passing)).toBe(added)
  })

  test.for([
    [100, [5], 105],
    [250, [10], 254],
    [254, [1], 254],
    [3, [-5], 1],
    [254, [-253], 1],
    [254, [-253, -253], 1],
    [1, [0], 1],
    [255, [-253], 255],
  ] as const)('%i with %j is %i', ([base, contributions, effective]) => {
    expect(effectivePriority(base, contributions)).toBe(effective)
  })
})

describe('the election', () => {
  const server = (name: string, priority: number, more: Partial<Candidate> = {}): Candidate => ({
    server: name,
    priority,
    eligible: true,
    nopreempt: false,
    address: undefined,
    ...more,
  })

  test('is won by the highest priority', () => {
    expect(ownerOf([server('a', 100), server('b', 105)], 'a').owner).toBe('b')
  })

  test('leaves the address with its holder in a tie: backups accept equal adverts', () => {
    expect(ownerOf([server('a', 100), server('b', 100)], 'a')).toEqual({ owner: 'a', tied: [] })
    expect(ownerOf([server('a', 100), server('b', 100)], 'b')).toEqual({ owner: 'b', tied: [] })
  })

  test('of two equals without a holder makes both master, and the one with the higher address remains', () => {
    const tied = [server('a', 100, { address: '192.0.2.9' }), server('b', 100, { address: '192.0.2.10' })]
    expect(ownerOf(tied, undefined)).toEqual({ owner: 'b', tied: ['a', 'b'] })
  })

  test('with nopreempt never takes the address from a running holder', () => {
    const candidates = [server('a', 1), server('b', 254, { nopreempt: true })]
    expect(ownerOf(candidates, 'a').owner).toBe('a')
    expect(ownerOf(candidates, undefined).owner).toBe('b')
  })

  test('passes over servers in FAULT, the holder too', () => {
    expect(ownerOf([server('a', 254, { eligible: false }), server('b', 1)], 'a').owner).toBe('b')
    expect(ownerOf([server('a', 254, { eligible: false })], 'a').owner).toBeUndefined()
  })
})
