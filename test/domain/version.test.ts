import { expect, test } from 'vitest'
import { isAtLeast, packageVersionsFor, upstreamVersion } from '../../src/domain/version.ts'

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

test('a release that is not known has no versions', () => {
  expect(packageVersionsFor('bookworm')).toEqual({ keepalived: '2.2.7', haproxy: '2.6.12' })
  expect(packageVersionsFor('sid')).toBeUndefined()
})
