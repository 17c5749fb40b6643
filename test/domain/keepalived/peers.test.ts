import { expect, test } from 'vitest'
import { renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import { instancesUnknownTo, refusalsBetween } from '../../../src/domain/keepalived/peers.ts'
import { classicWith, clusterWith, factsOfServer, inventoryWith } from '../example.ts'

const { servers } = inventoryWith()
const conf = (cluster: ReturnType<typeof clusterWith>, server: string) =>
  renderKeepalivedConf(cluster, server, factsOfServer(cluster, server))
const three = clusterWith()
const two = clusterWith({}, { servers: servers.slice(0, 2) })

test('a server that joins is unknown to peers that still have the old list', () => {
  expect(instancesUnknownTo(conf(two, 'srv-1'), conf(three, 'srv-3'))).toEqual(['VRRP1'])
  expect(instancesUnknownTo(conf(three, 'srv-1'), conf(three, 'srv-3'))).toEqual([])
})

test('a file that is missing, cannot be read, or has another router has no peers', () => {
  expect(instancesUnknownTo('', conf(three, 'srv-3'))).toEqual(['VRRP1'])
  expect(instancesUnknownTo('include other.conf\n', conf(three, 'srv-3'))).toEqual(['VRRP1'])
  expect(instancesUnknownTo(conf(clusterWith({ virtual_router_id: 67 }), 'srv-1'), conf(three, 'srv-3'))).toEqual(['VRRP1'])
})

test('with multicast adverts every server hears every other', () => {
  expect(instancesUnknownTo(conf(classicWith(), 'srv-1'), conf(classicWith(), 'srv-3'))).toEqual([])
})

test.for([
  ['another router number', { virtual_router_id: 67 }, 'a different virtual_router_id'],
  ['another address', { virtual_ipaddress: ['192.0.2.201/24'] }, 'different virtual addresses'],
  ['multicast', { unicast_peer: false }, 'unicast on one side only'],
  ['another interval where the master announces it', { advert_int: 0.5 }, undefined],
  ['another priority', { priority: { 'srv-1': 200 } }, undefined],
] as const)('servers of one cluster refuse each other where one of them has %s, or do not', ([, change, reason]) => {
  const found = refusalsBetween(conf(three, 'srv-1'), conf(clusterWith(change), 'srv-2'))
  expect(found).toEqual(reason === undefined ? [] : [`VRRP1: ${reason}`])
})

test('profiles refuse each other for every difference, and version 2 for its interval alone', () => {
  expect(refusalsBetween(conf(three, 'srv-1'), conf(classicWith(), 'srv-2')).join()).toMatch(/VRRP version.*unicast on one side only/)
  expect(refusalsBetween(conf(classicWith(), 'srv-1'), conf(classicWith({ advert_int: 2 }), 'srv-2'))).toEqual([
    'VRRP1: a different advert_int',
  ])
})

test('a server without shared instances, or whose file cannot be read in full, refuses no other', () => {
  expect(refusalsBetween(conf(three, 'srv-1'), 'include other.conf\n')).toEqual([])
  const apart = clusterWith({ virtual_router_id: 67, virtual_ipaddress: ['192.0.2.201/24'] })
  expect(refusalsBetween(conf(three, 'srv-1'), conf(apart, 'srv-2'))).toEqual([])
})

test('a peer list without one of the two separates them, on either side', () => {
  expect(refusalsBetween(conf(three, 'srv-1'), conf(two, 'srv-1'))).toEqual(['VRRP1: it is not a unicast_peer'])
  expect(refusalsBetween(conf(two, 'srv-1'), conf(three, 'srv-3'))).toEqual(['VRRP1: it is not a unicast_peer'])
  expect(refusalsBetween(conf(three, 'srv-3'), conf(two, 'srv-1'))).toEqual(['VRRP1: it is not a unicast_peer'])
})
