import { describe, expect, test } from 'vitest'
import { classifyKeepalivedChange, outageMsOf } from '../../../src/domain/keepalived/classify.ts'
import { renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import type { Inventory, InventoryInstance } from '../../../src/inventory/inventory.ts'
import { clusterWith, factsOfServer } from '../example.ts'

function rendered(instance: Partial<InventoryInstance> = {}, more: Partial<Inventory> = {}): string {
  const cluster = clusterWith(instance, more)
  return renderKeepalivedConf(cluster, 'srv-1', factsOfServer(cluster, 'srv-1'))
}

const CLASSIC = { profile: 'classic' } as const
const PASS = { authentication: { auth_type: 'PASS', auth_pass: { env: 'X' } } } as const

describe('the class of a change', () => {
  test('is first-time where there is no file, and none where nothing changes', () => {
    expect(classifyKeepalivedChange(undefined, rendered()).class).toBe('first-time')
    expect(classifyKeepalivedChange('\n', rendered()).class).toBe('first-time')
    expect(classifyKeepalivedChange(rendered(), rendered())).toEqual({ class: 'none', reasons: [] })
  })

  test.for([
    ['a priority', { priority: { 'srv-1': 200 } }, {}],
    ['a gratuitous ARP setting', { garp_master_refresh: 60 }, {}],
    ['nopreempt', { nopreempt: true }, {}],
    ['the check', {}, { vrrp_script: { fall: 3 } }],
    ['mail', {}, { global_defs: { notification_email: ['name@example.com'] } }],
    ['advert_int in VRRPv3, which backups learn', { advert_int: 0.5 }, {}],
    ['the prefix of an address, which is in no advert', { virtual_ipaddress: ['192.0.2.200/25'] }, {}],
  ] as const)('is local for %s', ([, instance, more]) => {
    expect(classifyKeepalivedChange(rendered(), rendered(instance as Partial<InventoryInstance>, more)).class).toBe('local')
  })

  test('is together for another virtual address, with the reason', () => {
    expect(classifyKeepalivedChange(rendered(), rendered({ virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'] }))).toEqual({
      class: 'together',
      reasons: ['VRRP1: the virtual addresses change'],
    })
  })

  test('is together for a new peer: a server that its peers do not know takes the address beside their master', () => {
    const four = [1, 2, 3, 4].map(n => ({ name: `srv-${n}`, host: `192.0.2.1${n}` }))
    expect(classifyKeepalivedChange(rendered(), rendered({}, { servers: four }))).toEqual({
      class: 'together',
      reasons: ['VRRP1: the unicast peers change'],
    })
  })

  test('is together for what VRRPv2 peers compare', () => {
    expect(classifyKeepalivedChange(rendered({}, CLASSIC), rendered({ advert_int: 2 }, CLASSIC)).reasons).toEqual([
      'VRRP1: advert_int 1 s becomes 2 s',
    ])
    expect(classifyKeepalivedChange(rendered({}, CLASSIC), rendered({ version: 3 }, CLASSIC)).reasons).toEqual([
      'VRRP1: VRRP version 2 becomes 3',
    ])
    expect(classifyKeepalivedChange(rendered({}, CLASSIC), rendered(PASS, CLASSIC))).toEqual({
      class: 'together',
      reasons: ['VRRP1: authentication changes'],
    })
  })

  test('is together for an instance that is new or gone', () => {
    const second = { name: 'VRRP2', virtual_router_id: 67, virtual_ipaddress: ['192.0.2.201/24'] }
    const first = { name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'] }
    const both = rendered({}, { vrrp_instances: [first, second] })
    expect(classifyKeepalivedChange(rendered(), both).reasons).toEqual(['VRRP2: new'])
    expect(classifyKeepalivedChange(both, rendered()).reasons).toEqual(['VRRP2: removed'])
  })

  test.for([
    ['multicast becomes unicast', rendered({ unicast_peer: false }), rendered(), 'VRRP1: multicast becomes unicast'],
    ['the number changes', rendered(), rendered({ virtual_router_id: 67 }), 'VRRP1: virtual_router_id 66 becomes 67'],
    ['the interface changes', rendered(), rendered().replace('interface eth0', 'interface eth1'), 'VRRP1: interface eth0 becomes eth1'],
    [
      'its own address changes',
      rendered(),
      rendered().replace('unicast_src_ip 192.0.2.11', 'unicast_src_ip 192.0.2.99'),
      'VRRP1: unicast_src_ip 192.0.2.11 becomes 192.0.2.99',
    ],
  ] as const)('is an outage where %s', ([, before, after, reason]) => {
    const change = classifyKeepalivedChange(before, after)
    expect(change.class).toBe('outage')
    expect(change.reasons).toContain(reason)
  })

  test('is an outage from classic to fast', () => {
    expect(classifyKeepalivedChange(rendered(PASS, CLASSIC), rendered()).class).toBe('outage')
  })

  test('does not depend on the name of an instance', () => {
    expect(classifyKeepalivedChange(rendered(), rendered().replace('vrrp_instance VRRP1', 'vrrp_instance WEB')).class).toBe('local')
  })

  test.for(['vrrp_instance A {\n', 'include other.conf\n'])('is an outage where the present file is not understood: %j', before => {
    expect(classifyKeepalivedChange(before, rendered()).class).toBe('outage')
  })
})

test('a reason never shows a password', () => {
  const change = classifyKeepalivedChange(rendered({}, CLASSIC), rendered(PASS, CLASSIC))
  expect(JSON.stringify(change)).not.toContain('pass1234')
})

test('only an outage interrupts the service, for the dead-master time of the new file', () => {
  const before = rendered({ unicast_peer: false })
  expect(outageMsOf(classifyKeepalivedChange(before, rendered()), rendered())).toBe(602)
  expect(outageMsOf(classifyKeepalivedChange(rendered(), rendered({ nopreempt: true })), rendered())).toBe(0)
})
