import { describe, expect, test } from 'vitest'
import { printable, table, wrap } from '../../../src/cli/view/style.ts'
import { count, formatMs } from '../../../src/words.ts'

test.for([
  [0, '0 ms'],
  [340.4, '340 ms'],
  [999.6, '1 s'],
  [1000, '1 s'],
  [4650, '4.65 s'],
  [9999, '10 s'],
  [12_340, '12.3 s'],
  [59_990, '1 min 0 s'],
  [125_000, '2 min 5 s'],
] as const)('%d ms reads %s', ([ms, text]) => {
  expect(formatMs(ms)).toBe(text)
})

test('a count knows its plural', () => {
  expect([count(0, 'change'), count(1, 'change'), count(2, 'change')]).toEqual(['0 changes', '1 change', '2 changes'])
})

describe('printable', () => {
  test('keeps text of every script, newlines and tabs', () => {
    expect(printable('größe 表\n\tx\r\n')).toBe('größe 表\n\tx\n')
  })

  test('escapes what moves the cursor, hides or reorders text', () => {
    expect(printable('\u001B[31mred\u0007\u009B2J\u202Eabc\u0000')).toBe('\\x1b[31mred\\x07\\x9b2J\\u202eabc\\x00')
  })
})

test('a table aligns all columns but the last and leaves no spaces at the end', () => {
  expect(
    table([
      ['name', 'state', 'note'],
      ['srv-1', 'MASTER', ''],
      ['s', 'B', 'a long one'],
    ]),
  ).toEqual(['name   state   note', 'srv-1  MASTER', 's      B       a long one'])
})

test('the last column of a table is wrapped within itself', () => {
  expect(table([['haproxy-stop', 'found by the check, then a wait']], '  ', 37)).toEqual([
    '  haproxy-stop  found by the check,',
    '                then a wait',
  ])
})

test('wrap breaks at spaces only, and never within a long word', () => {
  expect(wrap('one two a-word-longer-than-that three', 8)).toEqual(['one two', 'a-word-longer-than-that', 'three'])
})
