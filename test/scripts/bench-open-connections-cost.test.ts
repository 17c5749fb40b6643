/** The figures of what keeping open connections costs: CPU as /proc tells it, what wrk says, how connections are spread, and the inventory. */
import { describe, expect, test } from 'vitest'
import { cpuBetween, othersIn, parseMachineCpuMs, parseProcess, type Process } from '../../scripts/bench/open-connections-cost/cpu.ts'
import {
  judgeRequests,
  lookBefore,
  parseWrk,
  planClients,
  renderSpread,
  spreadOf,
  sumOf,
} from '../../scripts/bench/open-connections-cost/figures.ts'
import { inventoryFor } from '../../scripts/bench/open-connections-cost/inventory.ts'
import type { LabFile } from '../../scripts/support/lab.ts'
import { parseInventory } from '../../src/inventory/parse.ts'

const one = (pid: number, over: Partial<Process> = {}): Process => ({
  key: `${pid} 100`,
  pid,
  parent: 1,
  cpuMs: 0,
  cgroup: '0::/',
  ...over,
})

describe('CPU', () => {
  test('of the machine is all but idle, waiting and stolen time', () => {
    const stat = 'cpu  100 20 300 4000 500 6 70 8 9 0\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 1\n'
    expect(parseMachineCpuMs(stat)).toBe(4960)
  })

  test('of a process is its own and that of its ended children, whatever its name', () => {
    const stat = '77 (a) b (c) S 5 77 77 0 -1 4194560 1 2 3 4 10 20 300 400 20 0 1 0 9876 1 1\n'
    expect(parseProcess(stat, '0::/x')).toEqual({ key: '77 9876', pid: 77, parent: 5, cpuMs: 7300, cgroup: '0::/x' })
    expect(parseProcess('', '')).toBeUndefined()
  })

  test('between two looks counts what is new from its start, and a number that was used again as new', () => {
    const before = [one(10, { cpuMs: 1000 }), one(11, { cpuMs: 5000 }), one(12, { cpuMs: 9000 })]
    const after = [one(10, { cpuMs: 1400 }), one(11, { key: '11 200', cpuMs: 30 }), one(13, { cpuMs: 2 })]
    expect(cpuBetween(before, after, () => true)).toBe(432)
    expect(cpuBetween(before, after, ({ pid }) => pid === 10)).toBe(400)
    expect(cpuBetween(before, after, ({ pid }) => pid === 99)).toBeNaN()
  })

  test('of others is that of no container, of nothing below this process, and of no thread of the kernel', () => {
    const all = [
      one(1, { parent: 0 }),
      one(2, { parent: 0 }),
      one(20, { parent: 2 }),
      one(30),
      one(31, { parent: 30 }),
      one(32, { parent: 31 }),
      one(40, { cgroup: '4:memory:/docker/abc\n' }),
      one(50, { cgroup: '4:memory:/docker/def\n' }),
    ]
    expect(all.filter(othersIn(all, ['abc'], 31)).map(({ pid }) => pid)).toEqual([1, 30, 50])
  })
})

describe('what wrk says', () => {
  const DONE = '  1 threads and 32 connections\n  57912 requests in 2.01s, 59.98MB read\nRequests/sec:  28800.41\n'

  test('is how many requests were answered', () => {
    expect(parseWrk(DONE)).toEqual({ requests: 57_912, errors: 0 })
  })

  test('names every kind of error', () => {
    const bad = `${DONE}  Socket errors: connect 1, read 20, write 300, timeout 4000\n  Non-2xx or 3xx responses: 50000\n`
    expect(parseWrk(bad)).toEqual({ requests: 57_912, errors: 54_321 })
  })

  test('may be that there is nobody', () => {
    expect(parseWrk('unable to connect to 198.18.1.200:8092 Connection refused')).toBeUndefined()
  })
})

test.for([
  [[5, 1, 4, 2, 3], { count: 5, median: 3, quarter: 2, threeQuarters: 4, least: 1, most: 5 }],
  [[4, 1, 3, 2], { count: 4, median: 2.5, quarter: 1.5, threeQuarters: 3.5, least: 1, most: 4 }],
  [[7], { count: 1, median: 7, quarter: 7, threeQuarters: 7, least: 7, most: 7 }],
] as const)('the spread of %j', ([values, spread]) => {
  expect(spreadOf(values)).toEqual(spread)
})

test('a spread is said with its unit and its count', () => {
  expect(renderSpread(spreadOf([5, 1, 4, 2, 3]), 'us')).toBe('3.00 us (1.00 to 5.00, half of 5 within 2.00 to 4.00)')
})

test('no figures of no measurements are said to be none, and meet no bar', () => {
  expect(spreadOf([]).median <= 1).toBe(false)
})

test.for([
  ['met', { with: [10, 11, 10], without: [10, 10, 10], errors: 0 }, true],
  ['missed with a higher cost', { with: [11, 11, 10], without: [10, 10, 10], errors: 0 }, false],
  ['missed with an error, whatever the cost', { with: [10, 10, 10], without: [10, 10, 10], errors: 1 }, false],
  ['missed where nothing was measured without errors', { with: [], without: [], errors: 0 }, false],
] as const)('the bar of CPU a request is %s', ([, costs, isMet]) => {
  const judged = judgeRequests('kept-alive connections', { ...costs, with: [...costs.with], without: [...costs.without] })
  expect(judged.isMet).toBe(isMet)
  expect(judged.seen.includes('1 errors')).toBe(costs.errors === 1)
})

test.for([
  [100, 1000, 1000, [[100]]],
  [100, 1000, 30, [[25, 25, 25, 25]]],
  [100_000, 19_500, 19_500, [[16_666], [16_667], [16_667], [16_666], [16_667], [16_667]]],
  [
    10,
    6,
    3,
    [
      [2, 3],
      [2, 3],
    ],
  ],
] as const)('%i connections, at most %i by worker and %i by program', ([count, perWorker, perProgram, plan]) => {
  expect(planClients(count, perWorker, perProgram)).toEqual(plan)
})

test.for([
  [250, 200],
  [200, 200],
  [50, 100],
  [999, 300],
] as const)('a figure from %i ms on begins with the look at %i ms', ([atMs, lookedMs]) => {
  expect(lookBefore([{ atMs: 100 }, { atMs: 200 }, { atMs: 300 }], atMs)).toEqual({ atMs: lookedMs })
})

test('what became of the requests of several programs is added up', () => {
  const asked = [
    { answered: 10, lost: { ECONNRESET: 2 } },
    { answered: 5, lost: { ECONNRESET: 1, silence: 3 } },
  ]
  expect(sumOf(asked)).toEqual({ answered: 15, lost: { ECONNRESET: 3, silence: 3 } })
})

test('the inventory is one that hactl takes', () => {
  const lab = {
    vip: '198.18.1.200',
    key: '/lab/key',
    known_hosts: '/lab/known_hosts',
    servers: [1, 2, 3].map(n => ({ name: `srv-${n}`, host: `198.18.1.1${n}` })),
  } as unknown as LabFile
  expect(parseInventory(inventoryFor(lab, { connections: 17_000, files: 20_000 }), 'inventory.yml').issues).toEqual([])
})
