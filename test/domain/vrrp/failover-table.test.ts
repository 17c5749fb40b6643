import { describe, expect, test } from 'vitest'
import { failoverTable, failureSets } from '../../../src/domain/vrrp/failover-table.ts'
import { classicWith, clusterWith } from '../example.ts'

/** "srv-1+srv-2 -> srv-3 (note)" per row, the numbers of the servers only. */
function rowsOf(cluster: ReturnType<typeof clusterWith>, instance = 'VRRP1'): Record<string, string> {
  return Object.fromEntries(
    failoverTable(cluster).map(row => [row.failed.map(s => s.slice(4)).join('') || '-', row.master[instance]?.slice(4) ?? 'nobody']),
  )
}

describe('the rules of evidence V4', () => {
  const priorities = (a: number, b: number, c: number) => ({ 'srv-1': a, 'srv-2': b, 'srv-3': c })

  test('the article: 100, 99, 98 with weight 5', () => {
    expect(rowsOf(classicWith())).toEqual({ '-': '1', '1': '2', '2': '1', '3': '1', '12': '3', '13': '2', '23': '1', '123': '1' })
  })

  test('weight 2 equals the gap: with two failed the first keeps the address', () => {
    const rows = rowsOf(classicWith({}, { vrrp_script: { weight: 2 } }))
    expect(rows).toMatchObject({ '1': '2', '12': '1' })
  })

  test('weight 1: equal priorities give no failover', () => {
    expect(rowsOf(classicWith({}, { vrrp_script: { weight: 1 } }))).toMatchObject({ '1': '1', '12': '1', '13': '1' })
  })

  test('weight -3 is enough, -2 is not', () => {
    expect(rowsOf(classicWith({}, { vrrp_script: { weight: -3 } }))).toMatchObject({ '1': '2', '12': '3', '123': '1' })
    const minusTwo = failoverTable(classicWith({}, { vrrp_script: { weight: -2 } }))
    expect(minusTwo.find(r => r.failed.join() === 'srv-1,srv-2')?.note).toContain('srv-1 may keep the address')
  })

  test('150, 100, 50 with weight 60: each single failure is covered, two together are not', () => {
    const cluster = classicWith({ priority: priorities(150, 100, 50) }, { vrrp_script: { weight: 60 } })
    expect(rowsOf(cluster)).toMatchObject({ '1': '2', '2': '1', '12': '1' })
    expect(
      failoverTable(cluster)
        .filter(r => r.note?.includes('may keep') === true)
        .map(r => r.failed.join()),
    ).toEqual(['srv-1,srv-2'])
  })

  test('250, 249, 248 with weight 10: the limit of 254 makes them all equal', () => {
    const cluster = classicWith({ priority: priorities(250, 249, 248) }, { vrrp_script: { weight: 10 } })
    expect(failoverTable(cluster)[0]?.note).toContain('stays with whoever holds it: srv-1 or srv-2 or srv-3')
  })

  test('weight 0: nobody holds the address when all servers have failed', () => {
    expect(rowsOf(classicWith({}, { vrrp_script: { weight: 0 } }))).toMatchObject({ '1': '2', '12': '3', '123': 'nobody' })
  })
})

test('fast fails over from a stopped haproxy whatever the weight of its check is', () => {
  expect(rowsOf(clusterWith({}, { vrrp_script: { weight: 1 } }))).toMatchObject({ '1': '2', '12': '3', '123': 'nobody' })
})

test('two addresses with opposite priorities have two masters', () => {
  const cluster = clusterWith(
    {},
    {
      vrrp_instances: [
        { name: 'A', virtual_router_id: 1, virtual_ipaddress: ['192.0.2.200/24'], priority: { 'srv-1': 254, 'srv-2': 250, 'srv-3': 190 } },
        { name: 'B', virtual_router_id: 2, virtual_ipaddress: ['192.0.2.201/24'], priority: { 'srv-1': 250, 'srv-2': 254, 'srv-3': 190 } },
      ],
    },
  )
  expect(rowsOf(cluster, 'A')).toMatchObject({ '-': '1', '2': '1', '1': '2', '12': '3' })
  expect(rowsOf(cluster, 'B')).toMatchObject({ '-': '2', '2': '1', '1': '2', '12': '3' })
})

test('up to six servers every set is shown, beyond that single failures, pairs and all', () => {
  const names = (n: number) => Array.from({ length: n }, (_, i) => `s${i}`)
  expect(failureSets(names(6))).toHaveLength(64)
  expect(failureSets(names(7))).toHaveLength(1 + 7 + 21 + 1)
  expect(failureSets(names(2))).toEqual([[], ['s0'], ['s1'], ['s0', 's1']])
})
