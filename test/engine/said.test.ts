/** What GNU's coreutils, uutils' (0.0.30, 0.12.0) and busybox print for the same question, as measured, and what none of them should. */
import { describe, expect, test } from 'vitest'
import { parseClock, parseFreeKiB, parseOpensslTime, parseWhole } from '../../src/engine/observe/said.ts'

describe("a server's clock", () => {
  test.for<[string, string, number, boolean]>([
    ['GNU, and uutils', '1795774878 012833622', 1_795_774_878_012, true],
    ['a date that leaves leading zeros out', '1795774878 12833622', 1_795_774_878_012, true],
    ['busybox', '1795774878 %N', 1_795_774_878_500, false],
    ['a date without fractions', '1795774878', 1_795_774_878_500, false],
    ['a server without a battery', '37 5', 37_000, true],
  ])('as %s prints it', ([, text, atMs, isExact]) => {
    expect(parseClock(text)).toEqual({ atMs, isExact })
  })

  test.for([
    '',
    ' ',
    '-5 0',
    '1e400 0',
    '1e9 0',
    '9'.repeat(30),
    '1587780000003113 0',
    '1795774878 1234567890',
    '1795774878 -1',
    '1795774878 0 0',
    "date: invalid format '%s %N'",
    'NaN 0',
    'Infinity',
  ])('that says %j is not known', text => {
    expect(parseClock(text)).toBeUndefined()
  })

  test('that was not asked is not known', () => expect(parseClock(undefined)).toBeUndefined())
})

describe('the room that df tells', () => {
  test.for<[string, string, number]>([
    ['GNU', '/dev/vda1                            20509308 4410568  15043932      23% /', 15_043_932],
    ['GNU, of a file system that nobody mounted', '-                264212084 26334324  80056588      25% /', 80_056_588],
    ['uutils', 'tmpfs                10240     0     10240       0% /var', 10_240],
    ['busybox, with blanks in a name', 'a b c                    10240         0     10240   0% /var', 10_240],
    ['GNU, of one that has no size', 'none 0 0 0 - /var', 0],
    ['a full disk, where more is kept for root than is left', '/dev/vda1 100 100 -5 105% /', 0],
  ])('as %s prints it', ([, text, kib]) => {
    expect(parseFreeKiB(text)).toBe(kib)
  })

  test.for([
    '',
    'Filesystem     1024-blocks     Used Available Capacity Mounted on',
    'df: no file systems processed',
    "df: /var: can't find mount point",
    '/dev/vda1 20509308 4410568 15G 23% /',
    `/dev/vda1 1 1 ${'9'.repeat(30)} 1% /`,
    '/dev/vda1 1 1 1e400 1% /',
    '15043932',
  ])('is not known from %j', text => {
    expect(parseFreeKiB(text)).toBeUndefined()
  })
})

describe('the end of a certificate, as openssl prints it,', () => {
  test.for<[string, number]>([
    ['Nov  7 10:21:18 2027 GMT', 1_825_582_878],
    ['Nov 17 10:21:18 2027 GMT', 1_826_446_878],
    ['Feb 29 00:00:00 2028 GMT', 1_835_395_200],
    ['Mar  1 00:00:00 2028 GMT', 1_835_481_600],
    ['Mar  1 00:00:00 2100 GMT', 4_107_542_400],
    ['Jan  1 00:00:00 1970 GMT', 0],
    ['Jan  1 00:00:00 1950 GMT', 0],
    ['Dec 31 23:59:59 9999 GMT', 253_402_300_799],
  ])('%s', ([text, seconds]) => {
    expect(parseOpensslTime(text)).toBe(seconds)
  })

  test.for([
    '',
    'Feb 30 00:00:00 2027 GMT',
    'Feb 29 00:00:00 2100 GMT',
    'Nov 7 10:21:18 2027',
    'Nov 7 25:21:18 2027 GMT',
    'Foo 7 10:21:18 2027 GMT',
    '1825582878',
    'Nov 0 10:21:18 2027 GMT',
  ])('is not known from %j', text => {
    expect(parseOpensslTime(text)).toBeUndefined()
  })
})

test.for<[string | undefined, number | undefined]>([
  ['0', 0],
  ['255', 255],
  ['256', undefined],
  ['-1', undefined],
  ['', undefined],
  [undefined, undefined],
  ['1e2', undefined],
  ['0x10', undefined],
  ['9'.repeat(30), undefined],
])('a status of %j counts as %j', ([text, value]) => {
  expect(parseWhole(text, 0, 255)).toBe(value)
})
