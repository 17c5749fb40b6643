import { expect, test } from 'vitest'
import { renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import { instancesUnknownTo } from '../../../src/domain/keepalived/peers.ts'
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

test('a file that is missing, cannot be read, or has another router knows nobody', () => {
  expect(instancesUnknownTo('', conf(three, 'srv-3'))).toEqual(['VRRP1'])
  expect(instancesUnknownTo('include other.conf\n', conf(three, 'srv-3'))).toEqual(['VRRP1'])
  expect(instancesUnknownTo(conf(clusterWith({ virtual_router_id: 67 }), 'srv-1'), conf(three, 'srv-3'))).toEqual(['VRRP1'])
})

test('where adverts are multicast everybody hears everybody', () => {
  expect(instancesUnknownTo(conf(classicWith(), 'srv-1'), conf(classicWith(), 'srv-3'))).toEqual([])
})
