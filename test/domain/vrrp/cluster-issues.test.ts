import { describe, expect, test } from 'vitest'
import { clusterIssues } from '../../../src/domain/vrrp/cluster-issues.ts'
import { failureSets, isWrong, ownersOf } from '../../../src/domain/vrrp/failover-table.ts'
import type { InventoryInstance } from '../../../src/inventory/inventory.ts'
import { classicWith, clusterWith, inventoryWith } from '../example.ts'

const errorsOf = (cluster: ReturnType<typeof clusterWith>) => clusterIssues(cluster).errors.map(i => `${i.path}: ${i.message}`)
const warningsOf = (cluster: ReturnType<typeof clusterWith>) => clusterIssues(cluster).warnings.map(i => `${i.path}: ${i.message}`)
const priorities = (a: number, b: number, c: number) => ({ priority: { 'srv-1': a, 'srv-2': b, 'srv-3': c } })
const weight = (w: number) => ({ vrrp_script: { weight: w } })
const PASS = { auth_type: 'PASS', auth_pass: { env: 'X' } } as const

describe('no errors', () => {
  test("for the article's cluster, and warnings for its priorities and password only", () => {
    const { errors, warnings } = clusterIssues(classicWith({ authentication: PASS }))
    expect(errors).toEqual([])
    expect(warnings.map(w => w.path)).toEqual(['vrrp_instances[0].priority', 'vrrp_instances[0].authentication'])
  })

  test('and no warnings for fast with its defaults', () => {
    expect(clusterIssues(clusterWith())).toEqual({ errors: [], warnings: [] })
  })
})

describe('an error where a cluster can never fail over', () => {
  test('a weight that does not bring the failed master below its best backup', () => {
    expect(errorsOf(classicWith({}, weight(1)))).toEqual([
      'vrrp_script.weight: vrrp_instances[0]: never fails over: with its haproxy failed srv-1 still has priority 100, its best backup 100',
    ])
    expect(clusterIssues(classicWith({}, weight(1))).errors[0]?.fix).toContain('more than 2')
    expect(errorsOf(classicWith(priorities(200, 100, 50), weight(99)))).toHaveLength(1)
  })

  test('a master of 254 whose check only adds', () => {
    expect(errorsOf(classicWith(priorities(254, 253, 252), weight(5)))).toHaveLength(1)
  })

  test('priority 255, which no check applies to', () => {
    expect(errorsOf(classicWith(priorities(255, 99, 98))).join()).toContain('priority 255 makes keepalived ignore the check')
  })

  test.for(['classic', 'fast'] as const)('nopreempt beside a weight, in %s', profile => {
    expect(errorsOf(clusterWith({ nopreempt: true }, { profile, ...weight(5) })).join()).toContain('never take over')
    expect(errorsOf(clusterWith({ nopreempt: true }, { profile, ...weight(0) }))).toEqual([])
  })

  test('a single server', () => {
    expect(errorsOf(classicWith({}, { servers: [{ name: 'srv-1', host: '192.0.2.11' }] }))[0]).toMatch(/^servers: one server/)
  })

  test('a password in VRRPv3, with what to do in each profile', () => {
    const fixes = [clusterWith({ authentication: PASS }), classicWith({ authentication: PASS, version: 3 })].map(
      c => clusterIssues(c).errors[0]?.fix,
    )
    expect(fixes).toEqual(['remove authentication, or set profile: classic', 'remove authentication, or set version: 2'])
  })
})

describe('a warning', () => {
  test('where only several failures together leave the address with a failed server, with those rows', () => {
    const cluster = classicWith(priorities(150, 100, 50), weight(60))
    expect(errorsOf(cluster)).toEqual([])
    expect(warningsOf(cluster).join()).toContain('srv-1 + srv-2 failed: srv-1')
  })

  test('where the weight makes healthy servers equal', () => {
    expect(warningsOf(classicWith(priorities(250, 249, 248), weight(10))).join()).toContain('same effective priority 254')
  })

  test('where preempt_delay delays failover', () => {
    expect(warningsOf(classicWith({ preempt_delay: 20 })).join()).toContain('costs 20 s more')
    expect(warningsOf(classicWith({ preempt_delay: 20 }, weight(0))).join()).not.toContain('s more')
  })

  test('where fast cannot hand over before a stop, with the outage of that', () => {
    expect(warningsOf(clusterWith({ nopreempt: true })).join()).toContain('gives the address up before a backup has it')
    expect(warningsOf(clusterWith(priorities(254, 250, 1))).join()).toContain('nothing is handed over')
    expect(warningsOf(clusterWith(priorities(254, 250, 2))).join()).not.toContain('nothing is handed over')
  })

  test("where fast's hang check only lowers the priority", () => {
    expect(warningsOf(clusterWith({}, weight(5))).join()).toContain('too small')
    expect(warningsOf(clusterWith({}, weight(-100))).join()).toContain('dead-master time')
  })

  test('where the last of many addresses is announced after the old holder has stopped answering', () => {
    const spaced = (count: number, seconds: number, more: Partial<InventoryInstance> = {}) => {
      const addresses = Array.from({ length: count }, (_, at) => `192.0.2.${100 + at}/24`)
      return clusterWith({ virtual_ipaddress: addresses, ...more }, { global_defs: { vrrp_garp_interval: seconds } })
    }
    expect(warningsOf(spaced(4, 0.1))).toEqual([])
    expect(warningsOf(spaced(5, 0.1))).toEqual([
      'global_defs.vrrp_garp_interval: of 5 addresses on one interface the last is announced 0.4 s after the first, and a server that gives them away answers for 0.3 s: new connections may fail meanwhile',
    ])
    expect(clusterIssues(spaced(5, 0.1)).warnings[0]?.fix).toBe('set it to 0.075 or less')
    // IPv6 is announced without this interval.
    expect(warningsOf(spaced(1, 1, { virtual_ipaddress: ['2001:db8::200/64', '2001:db8::201/64'] }))).toEqual([])
  })

  test.for([
    ['eth0', 'eth0', 1],
    ['eth0', 'eth1', 0],
  ] as const)('and counts the addresses of each interface: %s and %s', ([first, second, warnings]) => {
    const [instance] = inventoryWith().vrrp_instances
    if (instance === undefined) throw new Error('no instance')
    const other = { ...instance, name: 'VRRP2', virtual_router_id: 67, virtual_ipaddress: ['192.0.2.201/24'], interface: second }
    const vrrp_instances = [{ ...instance, interface: first }, other]
    expect(warningsOf(clusterWith({}, { vrrp_instances, global_defs: { vrrp_garp_interval: 1 } }))).toHaveLength(warnings)
  })

  test('where adverts are so frequent that a busy master loses the address', () => {
    expect(warningsOf(clusterWith({ advert_int: 0.1 })).join()).toContain('a few times')
    expect(warningsOf(clusterWith({ advert_int: 0.2 }))).toEqual([])
  })

  test('where any machine on the network may send adverts', () => {
    expect(warningsOf(clusterWith({ unicast_peer: false })).join()).toContain('any machine on the network')
  })
})

/** The rules of evidence V4 for one weight and distinct priorities, compared with the election itself. */
describe('the rules for weights', () => {
  const lawHolds = (all: readonly number[], w: number): boolean => {
    const gap = Math.max(...all) - Math.min(...all)
    if (w > 0) return w > gap && Math.max(...all) <= 253
    return -w > gap && Math.min(...all) >= 2
  }
  const cases: (readonly [number, number, number, number])[] = []
  for (const a of [254, 253, 150, 100])
    for (const b of [253, 149, 99, 2])
      for (const c of [252, 98, 50, 1])
        for (const w of [1, 2, 3, 52, 150, 253, -1, -2, -3, -52, -150, -253]) if (a > b && b > c) cases.push([a, b, c, w])

  test('agree with who really keeps the address, in every set of failed servers', () => {
    const disagreeing = cases.filter(([a, b, c, w]) => {
      const cluster = classicWith(priorities(a, b, c), weight(w))
      const [instance] = cluster.instances
      if (instance === undefined) throw new Error('no instance')
      const wrong = failureSets(cluster.servers.map(s => s.name)).some(failed =>
        isWrong(cluster, ownersOf(cluster, instance, failed), failed),
      )
      return wrong === lawHolds([a, b, c], w)
    })
    expect(cases.length).toBeGreaterThan(300)
    expect(disagreeing).toEqual([])
  })
})
