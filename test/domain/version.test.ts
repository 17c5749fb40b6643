import { expect, test } from 'vitest'
import { isAtLeast, NEWEST_KEEPALIVED, packageVersionsFor, upstreamVersion } from '../../src/domain/version.ts'

test("Debian's epoch and revision are no part of the upstream version", () => {
  expect(['1:2.2.7-1+b2', '1:2.1.5-0.2+deb11u1', '2.6.12-1+deb12u4', '1:2.0.19-2ubuntu0.2'].map(upstreamVersion)).toEqual([
    '2.2.7',
    '2.1.5',
    '2.6.12',
    '2.0.19',
  ])
})

test('versions are compared number by number', () => {
  expect(isAtLeast('2.10.0', '2.9')).toBe(true)
  expect(isAtLeast('2.3.1', '2.3.2')).toBe(false)
  expect(isAtLeast('2.3.2', '2.3.2')).toBe(true)
})

test('what a release ships is known as far as it does not change', () => {
  expect(packageVersionsFor('bookworm')).toEqual({ keepalived: '2.2.7', haproxy: '2.6.12' })
  // Ubuntu replaces haproxy by later patch levels.
  expect(packageVersionsFor('noble')).toEqual({ keepalived: '2.2.8', haproxy: '2.8' })
  expect(packageVersionsFor('resolute')).toEqual({ keepalived: '2.3.4', haproxy: '3.2' })
})

test.for(['sid', 'stonking', '', 'constructor', '__proto__'])('nothing is known of a release called %j', codename => {
  expect(packageVersionsFor(codename)).toBeUndefined()
})

test('keepalived 2.4 is newer than all before', () => {
  expect(isAtLeast(NEWEST_KEEPALIVED, '2.3.4')).toBe(true)
  expect(isAtLeast('2.4.3', NEWEST_KEEPALIVED)).toBe(true)
})
