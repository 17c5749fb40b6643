import { describe, expect, test } from 'vitest'
import {
  assertPinsServed,
  expectedVersion,
  matchesPin,
  packageFolderIssues,
  pinWarnings,
  renderUnattendedConf,
} from '../../src/domain/packages.ts'
import type { ObservedNode, ObservedPackage } from '../../src/state/observed.ts'
import { clusterWith } from './example.ts'

const AVAILABLE = ['2.6.12-1+deb12u4', '2.6.12-1+deb12u3']

/** As much of a look at srv-1 as is judged here. */
function seen(haproxy: ObservedPackage, keepalived: ObservedPackage = { installed: '1:2.2.7-1+b2', candidate: undefined }, stale = false) {
  const facts = { os: { codename: 'bookworm' } }
  return { server: 'srv-1', facts, packages: { haproxy, keepalived }, aptListsStale: stale } as unknown as ObservedNode
}

const missing: ObservedPackage = { installed: undefined, candidate: AVAILABLE[0], available: AVAILABLE }
const pinned = (packages: { readonly haproxy?: string; readonly keepalived?: string }) => clusterWith({}, { packages })

test('a pin is a whole version, or its beginning and an asterisk', () => {
  expect(['2.6.*', '2.6.12-1+deb12u4', '2*', '2.6.12-1+deb12u4*'].map(pin => matchesPin('2.6.12-1+deb12u4', pin))).toEqual(
    Array(4).fill(true),
  )
  expect(['2.4.*', '2.6', '2.6.12-1', '6.*', ''].map(pin => matchesPin('2.6.12-1+deb12u4', pin))).toEqual(Array(5).fill(false))
})

test('the newest version that a pin allows is what will be installed', () => {
  expect(expectedVersion('haproxy', undefined, seen(missing))).toBe('2.6.12-1+deb12u4')
  expect(expectedVersion('haproxy', '2.6.*', seen(missing))).toBe('2.6.12-1+deb12u4')
  expect(expectedVersion('haproxy', '2.6.12-1+deb12u3', seen(missing))).toBe('2.6.12-1+deb12u3')
})

test('without package lists it is the pin itself, or what the release ships', () => {
  const bare = seen({ installed: undefined, candidate: undefined })
  expect(expectedVersion('haproxy', '2.8.*', bare)).toBe('2.8.*')
  expect(expectedVersion('haproxy', undefined, bare)).toBe('2.6.12')
})

test('with carried packages it is their version, whatever the repositories of the server have', () => {
  const files = ['haproxy_3.0.11-1_amd64.deb', 'keepalived_1%3a2.3.3-1_amd64.deb', 'libssl3_3.0.17-1_amd64.deb']
  const carried = { folder: '/debs', files }
  expect(expectedVersion('haproxy', undefined, seen(missing), carried)).toBe('3.0.11-1')
  expect(expectedVersion('keepalived', '1:2.*', seen(missing), carried)).toBe('1:2.3.3-1')
  const both = { ...carried, files: [...files, 'haproxy_2.8.1-1_amd64.deb'] }
  expect(expectedVersion('haproxy', '2.8.*', seen(missing), both)).toBe('2.8.1-1')
  expect(expectedVersion('haproxy', undefined, seen(missing), both)).toBe('2.6.12')
})

test.for(['../haproxy_1_amd64.deb', 'haproxy.deb', 'a b_1_amd64.deb', '-x_1_amd64.deb', 'haproxy_$(id)_amd64.deb', 'x_1_amd64.deb\n'])(
  'a carried file that a shell or a list could read otherwise is refused: %s',
  name => {
    const files = ['haproxy_2.6.12-1_amd64.deb', 'keepalived_1%3a2.2.7-1+b2_amd64.deb', 'libssl3_3.0.17-1~deb12u2_arm64.deb', name]
    const { packages } = clusterWith()
    const issues = packageFolderIssues({ packages: { ...packages, carried: { folder: '/debs', files } } })
    expect(issues.map(issue => issue.message)).toEqual([`${name}: not the name of a package file`])
  },
)

describe('a pin that no repository serves', () => {
  test('is refused before anything is changed, with the available versions', () => {
    expect(() => assertPinsServed(pinned({ haproxy: '2.8.*' }), [seen(missing)])).toThrow(
      expect.objectContaining({ code: 'E_PACKAGE_UNAVAILABLE', server: 'srv-1', why: [`it has ${AVAILABLE.join(', ')}`] }),
    )
  })

  test("without Debian's epoch is refused with the version that was meant", () => {
    const keepalived = { installed: undefined, candidate: '1:2.2.7-1+b2', available: ['1:2.2.7-1+b2'] }
    expect(() => assertPinsServed(pinned({ keepalived: '2.2.*' }), [seen(missing, keepalived)])).toThrow(
      expect.objectContaining({ fix: expect.stringContaining('"1:2.2.*"') }),
    )
  })

  test('is left to apt where its lists are old, or the package is installed already', () => {
    const installed = { installed: '2.6.12-1', candidate: undefined }
    for (const [pin, node] of [
      ['2.8.*', seen(missing, undefined, true)],
      ['2.8.*', seen(installed)],
      ['2.6.*', seen(missing)],
    ] as const)
      expect(() => assertPinsServed(pinned({ haproxy: pin }), [node])).not.toThrow()
  })
})

test('an installed package of another version than the pinned one gives a warning and no change', () => {
  const node = seen({ installed: '2.6.12-1+deb12u4', candidate: undefined })
  expect(pinWarnings(pinned({ haproxy: '2.8.*' }), [node])).toEqual([
    'srv-1: haproxy 2.6.12-1+deb12u4 is installed, and packages: pins 2.8.*; hactl upgrade installs it',
  ])
  expect(pinWarnings(pinned({ haproxy: '2.6.*' }), [node])).toEqual([])
})

test('unattended-upgrades is kept from these two packages, and from no other with the same beginning', () => {
  const patterns = [...renderUnattendedConf().matchAll(/^ {2}"(.*)";$/gm)].map(match => new RegExp(`^(?:${match[1] ?? ''})`))
  const kept = (name: string) => patterns.some(pattern => pattern.test(name))
  expect(['haproxy', 'keepalived', 'haproxy-doc', 'libkeepalived'].map(kept)).toEqual([true, true, false, false])
})
