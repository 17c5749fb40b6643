import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeProblems } from '../../src/domain/health.ts'
import { parseProbe } from '../../src/engine/observe/parse.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { classicWith, clusterWith } from './example.ts'

const HOLDER = readFileSync(join(import.meta.dirname, '../../fixtures/probes/fast-holder.txt'), 'utf8')
const NAMES = ['haproxy_down', 'haproxy_offset', 'keepalived_offset', 'drain'] as const
type Values = Partial<Record<(typeof NAMES)[number], string>>

const section = (name: string, body: string) => `@@begin ${name}\n${body}\n\n@@end ${name}\n`
const files = (values: Values) => NAMES.map(name => `/run/hactl/${name} ${values[name] ?? '0'}`).join('\n')

/** As keepalived 2.1.5 to 2.4.3 print it, or as 2.0.19 does. */
function dump(values: Values, ofFocal = false): string {
  const each = NAMES.map(name =>
    [
      ` ${ofFocal ? 'VRRP ' : ''}Track file = ${name}`,
      `   File = /run/hactl/${name}`,
      `   Status = ${values[name] ?? '0'}`,
      `   Weight = ${name === 'haproxy_down' ? 0 : 1}`,
      ofFocal ? '   Tracking VRRP instances = 1' : '   Tracking instances :',
      '     VRRP1, weight 0',
    ].join('\n'),
  )
  return ['------< VRRP Track files >------', ...each, '------< VRRP Track processes >------'].join('\n')
}

function holderWith(asked: Values, now: Values, held: string) {
  const text = HOLDER.replace(/@@begin trackers\n[\s\S]*@@end trackers\n/, section('trackers', files(now)))
  const more = `${section('trackers-asked', files(asked))}${section('held', held)}`
  return parseProbe('srv-1', text.replace(/@@end all\n$/, `${more}@@end all\n`), PROBE_REQUEST)
}

const problemsOf = (node: ReturnType<typeof holderWith>, cluster = clusterWith()) => nodeProblems(cluster, node)

describe.each([
  ['2.1.5 to 2.4.3', false],
  ['2.0.19', true],
] as const)('the track files that keepalived %s holds', (_, ofFocal) => {
  test('are no problem where they equal the files', () => {
    const node = holderWith({}, {}, dump({}, ofFocal))
    expect(Object.values(node.trackersHeld ?? {})).toEqual([0, 0, 0, 0])
    expect(problemsOf(node)).toEqual([])
  })

  test('are named where they differ, with the command that reads them again', () => {
    const node = holderWith({}, {}, dump({ haproxy_down: '1', drain: '-253' }, ofFocal))
    expect(problemsOf(node)).toEqual([
      'keepalived holds 1 for haproxy_down, and /run/hactl/haproxy_down says 0 (systemctl reload keepalived on srv-1 reads it again)',
      'keepalived holds -253 for drain, and /run/hactl/drain says 0 (systemctl reload keepalived on srv-1 reads it again)',
    ])
    // The article's profile has no track files.
    expect(problemsOf(node, classicWith())).toEqual([])
  })
})

test('a file that changed while keepalived was asked is not compared', () => {
  const node = holderWith({ haproxy_offset: '-253' }, {}, dump({ haproxy_offset: '-253' }))
  expect(node.trackersHeld).not.toHaveProperty('/run/hactl/haproxy_offset')
  expect(problemsOf(node)).toEqual([])
})

test('a priority that keepalived reported before or after a track file changed is not compared with it', () => {
  expect(problemsOf(holderWith({}, { haproxy_offset: '-253' }, dump({})))).toEqual([])
  expect(problemsOf(holderWith({ drain: '-253' }, { drain: '-253' }, ''))).toEqual([
    expect.stringContaining("keepalived's watch on them is dead"),
  ])
})

test('a haproxy that stops after its state was read is not reported as running', () => {
  expect(problemsOf(holderWith({}, { haproxy_down: '1' }, dump({})))).toEqual([])
})

test.each([
  ['nothing', ''],
  ['a dump that ends early', dump({ drain: '-253' }).split('\n').slice(0, -1).join('\n')],
  ['values that are none', dump({ drain: '1e99', haproxy_offset: '99999999999999' })],
])('%s is not compared', (_, held) => {
  expect(problemsOf(holderWith({}, {}, held))).toEqual([])
})

test('text in a file that no hook of hactl writes is not compared', () => {
  const odd: Values = { keepalived_offset: '0x10' }
  expect(problemsOf(holderWith(odd, odd, dump({ keepalived_offset: '16' })))).toEqual([])
})

test('a running haproxy that is marked as down is reported, instead of the state that follows from it', () => {
  const down: Values = { haproxy_down: '1' }
  const node = holderWith(down, down, dump(down))
  const inFault = { ...node, instances: node.instances.map(instance => ({ ...instance, state: 'FAULT' as const })) }
  expect(problemsOf(inFault)).toEqual([
    '/run/hactl/haproxy_down says that haproxy is down, and it runs: keepalived holds no address (echo 0 >/run/hactl/haproxy_down on srv-1)',
  ])
  const stopped = { ...inFault, services: { ...node.services, haproxy: { ...node.services.haproxy, active: 'inactive' } } }
  expect(problemsOf(stopped)).toEqual(['haproxy is inactive', 'VRRP1 is in state FAULT'])
})

test('no reload is advised where keepalived would then read that a running haproxy is down', () => {
  const down: Values = { haproxy_down: '1' }
  expect(problemsOf(holderWith(down, down, dump({})))).toEqual([
    '/run/hactl/haproxy_down says that haproxy is down, and it runs: at its next reload keepalived gives the addresses up (echo 0 >/run/hactl/haproxy_down on srv-1)',
  ])
})

describe('an offset that a hand-over left', () => {
  const left = (name: 'haproxy_offset' | 'keepalived_offset', value = '-253') => {
    const values: Values = { [name]: value }
    const node = holderWith(values, values, dump(values))
    const effectivePriority = 1
    return { ...node, instances: node.instances.map(instance => ({ ...instance, effectivePriority })) }
  }

  test.each(['haproxy_offset', 'keepalived_offset'] as const)('in %s is reported, with the command that gives the priority back', name => {
    expect(problemsOf(left(name))).toEqual([
      `/run/hactl/${name} says -253 although both services run: this server takes over only where no other one can (echo 0 >/run/hactl/${name} on srv-1)`,
    ])
    // The article's profile has no track files.
    expect(problemsOf(left(name), classicWith())).toEqual([])
  })

  test('is reported instead of the FAULT that follows from it', () => {
    const node = left('haproxy_offset', '-254')
    const inFault = { ...node, instances: node.instances.map(instance => ({ ...instance, state: 'FAULT' as const })) }
    expect(problemsOf(inFault)).toEqual([
      '/run/hactl/haproxy_offset says -254 although both services run: this server takes nothing over (echo 0 >/run/hactl/haproxy_offset on srv-1)',
    ])
  })

  test('is no advice to reload a keepalived that has not read it', () => {
    const values: Values = { haproxy_offset: '-253' }
    expect(problemsOf(holderWith(values, values, dump({}))).join()).not.toContain('reload')
  })

  test.each(['activating', 'deactivating', 'reloading'])('is expected while a service is %s', active => {
    for (const [name, unit] of [
      ['haproxy_offset', 'haproxy'],
      ['keepalived_offset', 'keepalived'],
    ] as const) {
      const node = left(name)
      const busy = { ...node, services: { ...node.services, [unit]: { ...node.services[unit], active } } }
      expect(problemsOf(busy)).toEqual([`${unit} is ${active}`])
    }
  })

  test('is expected after a crash, until haproxy has been stable', () => {
    expect(problemsOf({ ...left('haproxy_offset'), isDamped: true })).toEqual([])
  })

  test('is not reported where the file changed during the look', () => {
    expect(problemsOf(holderWith({}, { haproxy_offset: '-253' }, dump({})))).toEqual([])
    expect(problemsOf(holderWith({ keepalived_offset: '-253' }, {}, dump({})))).toEqual([])
  })
})
