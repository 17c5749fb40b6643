import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { shippedDrills } from '../../../src/app/drills.ts'
import type { Cluster } from '../../../src/domain/cluster-types.ts'
import { DISTURBANCES, disturbanceFor } from '../../../src/domain/failover/disturbances.ts'
import {
  drillLimits,
  drillRefusals,
  expectationFor,
  expectationOn,
  expectationText,
  goesHome,
  isTakerCertain,
  predictLast,
  predictTaker,
  splitBrains,
} from '../../../src/domain/failover/drill.ts'
import { splitVerdict } from '../../../src/domain/failover/unjudged.ts'
import { parseDrill } from '../../../src/engine/drill-file.ts'
import { parseInstances } from '../../../src/domain/keepalived/dump.ts'
import type { ObservedInstance } from '../../../src/state/instance.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'

const VIP = '198.51.100.200'

interface NodeChange {
  readonly priority: number
  readonly state?: ObservedInstance['state']
  readonly nopreempt?: boolean
  readonly delaysPreempt?: boolean | undefined
  readonly holds?: boolean
  readonly haproxy?: string
  readonly keepalived?: string
  readonly checkStatus?: number
  readonly residue?: readonly string[]
}

function node(server: string, change: NodeChange): ObservedNode {
  const { priority, state = 'BACKUP', nopreempt = false, holds = state === 'MASTER', haproxy = 'active', keepalived = 'active' } = change
  const service = (unit: 'haproxy' | 'keepalived', active: string) =>
    ({
      unit,
      load: 'loaded',
      active,
      sub: 'running',
      unitFile: 'enabled',
      needsDaemonReload: false,
      mainPid: 1,
      loadedHash: undefined,
    }) as const
  return {
    server,
    facts: {
      machineId: server,
      bootId: '',
      hostname: server,
      uid: 0,
      os: { id: 'debian', like: '', version: '12', codename: 'bookworm', pretty: 'Debian' },
      systemd: true,
      dpkg: true,
      container: 'none',
      addresses: holds ? [{ interface: 'eth0', family: 4, address: VIP, prefix: 24 }] : [],
      linkAddresses: [],
      clockMs: 0,
      freeVarKiB: 1,
    },
    packages: {},
    dpkgBroken: false,
    aptListsStale: false,
    files: {},
    services: { haproxy: service('haproxy', haproxy), keepalived: service('keepalived', keepalived) },
    ownUnits: {},
    sysctls: {},
    instances: [
      {
        name: 'VRRP1',
        interface: 'eth0',
        virtualRouterId: 66,
        state,
        basePriority: priority,
        effectivePriority: priority,
        advertIntMs: 1000,
        version: 2,
        nopreempt,
        ...(change.delaysPreempt === undefined ? {} : { delaysPreempt: change.delaysPreempt }),
        virtualAddresses: [VIP],
        trackScripts: [],
      },
    ],
    checkStatus: change.checkStatus ?? 0,
    trackers: {},
    lock: undefined,
    residue: change.residue ?? [],
    programFolders: [],
    certificates: [],
    leftRuns: [],
    neighbours: [],
  }
}

// Only what the refusals look at.
const cluster = {
  profile: 'classic',
  instances: [{ name: 'VRRP1', virtualAddresses: [{ address: VIP, family: 4, prefix: 24, text: VIP }] }],
} as unknown as Cluster

const healthy = [node('srv-1', { priority: 105, state: 'MASTER' }), node('srv-2', { priority: 104 }), node('srv-3', { priority: 103 })]
const withSecond = (change: Partial<NodeChange>) =>
  healthy.map(known => (known.server === 'srv-2' ? node('srv-2', { priority: 104, ...change }) : known))

describe('the refusal of a drill', () => {
  test('does not happen on a healthy cluster', () => {
    expect(drillRefusals(cluster, healthy)).toEqual([])
  })

  test.each<{ why: string; change: Partial<NodeChange>; reason: RegExp }>([
    { why: 'a backup without haproxy', change: { haproxy: 'inactive' }, reason: /^srv-2: haproxy is inactive$/ },
    { why: 'a backup without keepalived', change: { keepalived: 'failed' }, reason: /^srv-2: keepalived is failed$/ },
    { why: 'a failing check', change: { checkStatus: 1 }, reason: /^srv-2: .*check/ },
    { why: 'a backup in FAULT', change: { state: 'FAULT' }, reason: /^srv-2: VRRP1 is in state FAULT$/ },
    { why: 'a second master', change: { state: 'MASTER' }, reason: /srv-1 and srv-2 hold/ },
    { why: 'an address that keepalived does not know of', change: { holds: true }, reason: /srv-1 and srv-2 hold/ },
    { why: 'what an earlier drill left', change: { residue: ['hactl-undo-abcd.timer'] }, reason: /^srv-2: left over .*hactl-undo-abcd/ },
    { why: 'an address about to go home', change: { priority: 106 }, reason: /about to move from srv-1 to srv-2/ },
  ])('with $why', ({ change, reason }) => {
    expect(drillRefusals(cluster, withSecond(change))).toContainEqual(expect.stringMatching(reason))
  })

  test('happens where nobody holds the address', () => {
    const nobody = healthy.map(known => node(known.server, { priority: 100 }))
    expect(drillRefusals(cluster, nobody)).toContainEqual(`nobody holds ${VIP}`)
  })

  test('happens with a single server', () => {
    expect(drillRefusals(cluster, healthy.slice(0, 1))).toContainEqual(expect.stringMatching(/at least two/))
  })

  test('does not happen for a higher priority that does not preempt', () => {
    expect(drillRefusals(cluster, withSecond({ priority: 106, nopreempt: true }))).toEqual([])
  })
})

describe('a cluster is split', () => {
  test('where two servers are master, each by its own keepalived, and carry the address', () => {
    const nodes = withSecond({ state: 'MASTER' })
    const splits = splitBrains(cluster, nodes)
    expect(splits).toEqual([{ instance: 'VRRP1', vip: VIP, servers: ['srv-1', 'srv-2'] }])
    const [split] = splits
    if (split === undefined) throw new Error('not split')
    const verdict = splitVerdict({ drill: 'haproxy-stop', vip: VIP }, split)
    expect(verdict).toMatchObject({ verdict: 'failed', holdersMax: 2, restored: true, probes: 0 })
    expect(verdict.findings.map(finding => finding.code)).toEqual(['E_TWO_MASTERS', 'E_TWO_MASTERS'])
    expect(verdict.reasons[0]).toMatch(/^srv-1 and srv-2 are both master of VRRP1 .*IP protocol 112/)
  })

  test('not where the address was put on a backup by hand, and not where everything is healthy', () => {
    expect(splitBrains(cluster, withSecond({ holds: true }))).toEqual([])
    expect(splitBrains(cluster, withSecond({ state: 'MASTER', holds: false }))).toEqual([])
    expect(splitBrains(cluster, healthy)).toEqual([])
  })
})

describe('who will take over', () => {
  test('is the highest effective priority among the others', () => {
    expect(predictTaker(healthy, 'VRRP1', 'srv-1')).toBe('srv-2')
    expect(predictTaker(healthy, 'VRRP1', 'srv-2')).toBe('srv-1')
  })

  test('is not a server in FAULT', () => {
    expect(predictTaker(withSecond({ state: 'FAULT' }), 'VRRP1', 'srv-1')).toBe('srv-3')
  })

  test('is unknown between equals, and for an unknown instance', () => {
    expect(predictTaker(withSecond({ priority: 103 }), 'VRRP1', 'srv-1')).toBeUndefined()
    expect(predictTaker(healthy, 'VRRP2', 'srv-1')).toBeUndefined()
  })
})

describe('who will have the address after several holders went out', () => {
  test('is predicted one after the other', () => {
    expect(predictLast(healthy, 'VRRP1', 'srv-1', 1)).toBe('srv-2')
    expect(predictLast(healthy, 'VRRP1', 'srv-1', 2)).toBe('srv-3')
    expect(predictLast(healthy, 'VRRP1', 'srv-1', 3)).toBeUndefined()
  })
})

describe('what must be seen', () => {
  const expect1 = { taker: 'next', holders: 1, event: 'haproxy-stop' } as const

  test('is said before it happens, with the bound', () => {
    expect(expectationText(expect1, 440, 'srv-2', 'srv-1')).toBe('srv-2 takes over within 440 ms')
    expect(expectationText(expect1, 440, 'srv-2', 'srv-1', true)).toBe('srv-2 takes over within 440 ms; no open connection is cut')
    expect(expectationText({ ...expect1, holders: 2, healsMs: 1000 }, undefined, undefined, 'srv-1')).toBe(
      'another server takes over; two servers hold it until the undo; one holder again within 1000 ms of the undo',
    )
    expect(expectationText({ ...expect1, taker: 'nobody', moves: 0, lost: 0 }, 440, 'srv-2', 'srv-1')).toBe(
      'the address stays on srv-1; it never moves; no new connections lost',
    )
  })

  test('may differ with the classic profile', () => {
    const drill = {
      name: 'd',
      title: 't',
      disturb: 'x',
      on: 'holder',
      expect: expect1,
      classic: { taker: 'either' },
      destructive: false,
    } as const
    expect(expectationFor(drill, 'classic')).toEqual({ ...expect1, taker: 'either' })
    expect(expectationFor(drill, 'fast')).toEqual(expect1)
  })

  test('allows two adverts for two holders to become one, however rare adverts are', () => {
    const expect2 = { ...expect1, healsMs: 1000 }
    expect(expectationOn({ advertIntMs: 200 }, expect2)).toEqual(expect2)
    expect(expectationOn({ advertIntMs: 2000 }, expect2)).toEqual({ ...expect2, healsMs: 4000 })
    expect(expectationOn({ advertIntMs: 2000 }, expect1)).toEqual(expect1)
  })
})

describe('an address goes home', () => {
  test('to the highest priority', () => {
    expect(goesHome(healthy, 'VRRP1', 'srv-1')).toBe(true)
    expect(goesHome(healthy, 'VRRP1', 'srv-2')).toBe(false)
  })

  test('not with nopreempt', () => {
    const away = healthy.map(known => node(known.server, { priority: 105, nopreempt: true }))
    expect(goesHome(away, 'VRRP1', 'srv-1')).toBe(false)
  })
})

describe('the limits', () => {
  test('let a takeover be watched for longer than it may last, and end before the timer would undo it', () => {
    const limits = drillLimits(8400, 20_000)
    expect(limits.takeoverMs).toBeGreaterThan(8400)
    expect(limits.undoAfterMs).toBeGreaterThan(limits.takeoverMs)
    expect(limits.failbackMs).toBe(20_000)
  })

  test('leave room for every round before the first timer fires, and for a script that lasts', () => {
    const limits = drillLimits(8400, 20_000, { rounds: 9 })
    expect(limits.undoAfterMs).toBeLessThanOrEqual(60_000)
    expect(limits.undoAfterMs).toBeGreaterThan(9 * limits.takeoverMs)
    expect(drillLimits(500, 20_000, { lastsMs: 9000 }).takeoverMs).toBeGreaterThan(9000)
  })

  test('allow minutes where a server boots, and none where it does not', () => {
    expect(drillLimits(500, 1000, { boots: true }).bootMs).toBeGreaterThan(120_000)
    expect(drillLimits(500, 1000).bootMs).toBe(0)
  })

  test.each([undefined, 0, 500, 20_000, 600_000])('keep the timer at no more than 60 s (allowed outage %s)', maxOutageMs => {
    expect(drillLimits(maxOutageMs, 1000).undoAfterMs).toBeLessThanOrEqual(60_000)
  })
})

describe('every shipped drill', () => {
  const folder = new URL('../../../playbooks/drills/', import.meta.url)
  const vocabulary = {
    disturbances: DISTURBANCES,
    events: ['haproxy-stop', 'haproxy-kill', 'haproxy-hang', 'keepalived-stop', 'server-dead'],
  }

  const files = readdirSync(folder)
  const shipped = shippedDrills(files)

  test('has a place of its own in the order, and every file is a drill', () => {
    expect(shipped.map(({ file }) => file)).toEqual(files.toSorted())
    expect(new Set(files.map(file => file.slice(0, 2))).size).toBe(files.length)
  })

  test.each(shipped)('$name can be read, is named like its file and has a disturbance with an undo', ({ name, file }) => {
    const drill = parseDrill(readFileSync(new URL(file, folder), 'utf8'), name, vocabulary)
    expect(drill.name).toBe(name)
    const disturbance = disturbanceFor(drill.disturb, { interface: 'eth0', vip: VIP })
    for (const script of [disturbance?.script, disturbance?.undo, disturbance?.confirm]) expect(script?.raw).toMatch(/\S/)
    expect(disturbance?.byHand).toMatch(/\S/)
  })
})

test('who takes over is certain where backups preempt at once and no hook has lowered one of them', () => {
  const instance = { name: 'VRRP1', nopreempt: false, preemptDelayMs: 0 }
  const lowered = healthy.map(known => ({ ...known, trackers: { '/run/hactl/haproxy_offset': known.server === 'srv-2' ? '-253' : '0' } }))
  expect(isTakerCertain(healthy, instance)).toBe(true)
  expect(isTakerCertain(healthy, { ...instance, nopreempt: true })).toBe(false)
  expect(isTakerCertain(healthy, { ...instance, preemptDelayMs: 20_000 })).toBe(false)
  expect(isTakerCertain(lowered, instance)).toBe(false)
  // What runs, not what is written.
  expect(isTakerCertain([...healthy.slice(0, 2), node('srv-3', { priority: 103, nopreempt: true })], instance)).toBe(false)
  const [byHand] = parseInstances('[{ "data": { "iname": "VRRP1", "preempt_delay": 20 } }]')
  expect(isTakerCertain([...healthy.slice(0, 2), node('srv-3', { priority: 103, delaysPreempt: byHand?.delaysPreempt })], instance)).toBe(
    false,
  )
})
