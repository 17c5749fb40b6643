import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { halfWritten, parseSums } from './half-written.ts'

const [OLD, NEW, SHIPPED, TORN] = ['0', '1', '2', '3'].map(digit => digit.repeat(32)) as [string, string, string, string]
const sums = (sum: string, path = '/etc/haproxy/haproxy.cfg') => parseSums(`${sum}  ${path}\n`)
const NONE = parseSums('')

test('what md5sum prints is read with names that have spaces', () => {
  expect([...parseSums(`${OLD}  /etc/a b\n${NEW}  /etc/c\n`)]).toEqual([
    ['/etc/a b', OLD],
    ['/etc/c', NEW],
  ])
})

test.each([OLD, NEW, SHIPPED])('a file as it was, as it shall be, or as its package ships it is whole', sum => {
  expect(halfWritten(sums(sum), sums(OLD), sums(NEW), sums(SHIPPED))).toEqual([])
})

test('anything else is half-written, also a file that nobody knows', () => {
  expect(halfWritten(sums(TORN), sums(OLD), sums(NEW), sums(SHIPPED))).toEqual([`/etc/haproxy/haproxy.cfg ${TORN}`])
  expect(halfWritten(sums(TORN, '/etc/haproxy/.new'), sums(OLD), sums(NEW), NONE)).toHaveLength(1)
})

test('an empty file is whole only where it was empty before, or is shipped empty', () => {
  const empty = sums(createHash('md5').digest('hex'))
  expect(halfWritten(empty, NONE, empty, NONE)).toHaveLength(1)
  expect(halfWritten(empty, empty, empty, NONE)).toEqual([])
  expect(halfWritten(empty, NONE, empty, empty)).toEqual([])
})

test('a file that is not there is not half-written', () => {
  expect(halfWritten(NONE, sums(OLD), sums(NEW), NONE)).toEqual([])
})
