import { describe, expect, test } from 'vitest'
import { editDistance, nearestWord, someOf } from '../../src/inventory/suggest.ts'

const keys = ['name', 'interface', 'virtual_router_id', 'priority', 'advert_int', 'nopreempt', 'preempt_delay', 'unicast_peer']

describe('nearestWord', () => {
  test.for([
    ['advertint', 'advert_int'],
    ['advert-int', 'advert_int'],
    ['Priority', 'priority'],
    ['pirority', 'priority'],
    ['no_preempt', 'nopreempt'],
    ['unicast_peers', 'unicast_peer'],
    ['virtual_router', 'virtual_router_id'],
    ['nmae', 'name'],
  ])('finds what %s was meant to be', ([word = '', meant]) => {
    expect(nearestWord(word, keys)).toBe(meant)
  })

  test.for(['colour', 'x', 'vip', 'x'.repeat(1000)])('suggests nothing for %s', word => {
    expect(nearestWord(word, keys)).toBeUndefined()
  })
})

test('editDistance counts insertions, deletions, replacements and swaps', () => {
  expect([editDistance('', 'abc'), editDistance('abc', 'abd'), editDistance('abc', 'acb'), editDistance('abc', 'ab')]).toEqual([3, 1, 1, 1])
})

test('someOf shortens a long list', () => {
  expect(someOf(['a', 'b'])).toBe('a, b')
  expect(someOf(Array(14).fill('x'))).toBe(`${Array(12).fill('x').join(', ')} and 2 more`)
})
