import { describe, expect, test } from 'vitest'
import { worstCaseOutage } from '../../../src/domain/vrrp/outage.ts'
import type { VrrpScript } from '../../../src/inventory/inventory.ts'
import { classicWith, clusterWith } from '../example.ts'

function boundOf(cluster: ReturnType<typeof clusterWith>, event: string) {
  const found = worstCaseOutage(cluster).find(b => b.event === event)
  if (found === undefined) throw new Error(`no bound for ${event}`)
  return found
}

describe('classic', () => {
  test('a stopped haproxy costs 4.6 s to 7.6 s: 6.5 s and 6.9 s were seen', () => {
    const { expectedMs, worstMs } = boundOf(classicWith(), 'haproxy-stop')
    expect(expectedMs).toBeGreaterThan(4600)
    expect(worstMs).toBeGreaterThan(7600)
    expect(worstMs).toBeLessThan(8000)
  })

  test('a hung haproxy keeps the address forever', () => {
    expect(boundOf(classicWith(), 'haproxy-hang')).toMatchObject({ expectedMs: undefined, worstMs: undefined })
  })

  test('preempt_delay is added', () => {
    const without = boundOf(classicWith(), 'haproxy-stop').worstMs ?? 0
    expect(boundOf(classicWith({ preempt_delay: 20 }), 'haproxy-stop').worstMs).toBe(without + 20_000)
  })

  test('a dead server costs the dead-master time: 3.35 s were seen', () => {
    const { expectedMs, worstMs } = boundOf(classicWith(), 'server-dead')
    expect(expectedMs).toBeGreaterThan(2500)
    expect(worstMs).toBeGreaterThan(3600)
    expect(worstMs).toBeLessThan(4000)
  })

  test('what never fails over has no bound, and says why', () => {
    const bound = boundOf(classicWith({}, { vrrp_script: { weight: 1 } }), 'haproxy-stop')
    expect(bound.worstMs).toBeUndefined()
    expect(bound.how).toContain('to nobody')
  })
})

describe('fast', () => {
  test('expects no outage of a planned stop', () => {
    expect(boundOf(clusterWith(), 'haproxy-stop').expectedMs).toBe(0)
  })

  test('where one instance does not preempt, every planned stop interrupts the service: one offset is written for all of them', () => {
    const mixed = clusterWith(
      {},
      {
        vrrp_instances: [
          { name: 'A', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'], nopreempt: true },
          {
            name: 'B',
            virtual_router_id: 67,
            virtual_ipaddress: ['192.0.2.201/24'],
            priority: { 'srv-1': 190, 'srv-2': 250, 'srv-3': 130 },
          },
        ],
      },
    )
    for (const event of ['haproxy-stop', 'keepalived-stop']) {
      const { expectedMs, worstMs, how } = boundOf(mixed, event)
      // The slower of the two: 190 takes B over.
      expect(expectedMs).toBe(Math.round((200 * (256 - 190)) / 256))
      expect(worstMs).toBeGreaterThan(expectedMs ?? 0)
      expect(how).toContain('gives the address up')
    }
    expect(boundOf(clusterWith(), 'keepalived-stop').expectedMs).toBe(0)
  })

  test.for([
    ['haproxy-kill', 260],
    ['haproxy-hang', 480],
    ['server-dead', 604],
  ] as const)('bounds a %s above the %i ms that were seen', ([event, seenMs]) => {
    expect(boundOf(clusterWith(), event).worstMs).toBeGreaterThan(seenMs)
    expect(boundOf(clusterWith(), event).worstMs).toBeLessThan(1500)
  })

  test('finds a hung haproxy as late as the check is told to: fall counts whole intervals, and a longer timeout spreads the questions', () => {
    const hang = (vrrp_script: VrrpScript) => boundOf(clusterWith({}, { vrrp_script }), 'haproxy-hang').worstMs ?? 0
    const fast = hang({})
    expect(hang({ fall: 2 })).toBe(fast + 1000)
    expect(hang({ interval: 2, fall: 2 })).toBe(hang({ interval: 2 }) + 2000)
    expect(hang({ interval: 2 })).toBeGreaterThan(fast)
    expect(hang({ interval: 2 })).toBeLessThan(hang({ interval: 2, timeout: 1 }))
  })

  test('grows with advert_int where adverts decide, and not where events do', () => {
    const slow = clusterWith({ advert_int: 1 })
    expect(boundOf(slow, 'server-dead').worstMs).toBeGreaterThan(3000)
    expect(boundOf(slow, 'haproxy-kill').worstMs).toBeLessThan(1000)
  })
})
