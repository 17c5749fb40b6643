import { expect, test } from 'vitest'
import { canonicalAddress, compareAddresses, isInNetwork, parseVirtualAddress } from '../../src/domain/addresses.ts'

test('an address is written as ip prints it', () => {
  expect(canonicalAddress('2001:DB8:0:0::0200')).toEqual({ address: '2001:db8::200', family: 6 })
  expect(canonicalAddress('192.0.2.1')).toEqual({ address: '192.0.2.1', family: 4 })
})

test.for(['10.1', '192.0.2.256', '0x7f.0.0.1', 'fe80::1%eth0', 'web', '', "192.0.2.1';id"])('"%s" is no address', text => {
  expect(canonicalAddress(text)).toBeUndefined()
})

test('a virtual address may carry a prefix that fits its family', () => {
  expect(parseVirtualAddress('192.0.2.200/24')).toEqual({ address: '192.0.2.200', family: 4, prefix: 24, text: '192.0.2.200/24' })
  expect(parseVirtualAddress('192.0.2.200')?.prefix).toBeUndefined()
  for (const text of ['192.0.2.200/33', '2001:db8::1/129', '192.0.2.200/', '192.0.2.200/24/8', '192.0.2.200/+1'])
    expect(parseVirtualAddress(text)).toBeUndefined()
})

test('a network holds its own family only', () => {
  expect(isInNetwork('192.0.2.200', '192.0.2.11', 24)).toBe(true)
  expect(isInNetwork('198.51.100.1', '192.0.2.11', 24)).toBe(false)
  expect(isInNetwork('192.0.2.200', '2001:db8::1', 0)).toBe(false)
})

test('addresses are ordered by value, not by text', () => {
  expect(['192.0.2.9', '192.0.2.10', '10.0.0.1'].toSorted(compareAddresses)).toEqual(['10.0.0.1', '192.0.2.9', '192.0.2.10'])
})
