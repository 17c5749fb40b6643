/** The figures of the open-connections benchmark: who cut what, and sums that outlive a run. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { EVENTS, type Hands, whyNoRound } from '../../scripts/bench/connections/events.ts'
import { addFigures, type End, figuresOf, renderFigures, whoCut } from '../../scripts/bench/connections/figures.ts'
import { benchFiles, bundleFiles, fingerprintOf } from '../../scripts/bench/connections/fingerprint.ts'
import { homesOf, inventoryFor } from '../../scripts/bench/connections/inventory.ts'
import { isClosedBetween, type KeptEnd } from '../../scripts/bench/connections/kept-alive.ts'
import { keptIn } from '../../scripts/bench/connections/kept.ts'
import type { Lost, TrafficSeen } from '../../scripts/bench/connections/traffic-figures.ts'
import { saysHeld } from '../../scripts/bench/failover-lab.ts'
import type { LabFile } from '../../scripts/support/lab.ts'

const lost = (over: Partial<Lost> = {}): Lost => ({ what: 'open on *', port: 40_000, atMs: 10_000, how: 'ECONNRESET', ...over })
const end = (over: Partial<End> = {}): End => ({ atMs: 9999, from: 'srv-2', how: 'RST', port: 40_000, ...over })

describe('who cut a connection', () => {
  test.for([
    ['the server whose reset came next to it', lost(), [end({ from: 'srv-1', atMs: 9000 }), end()], 'RST by srv-2'],
    ['not the one that resets afterwards what is gone already', lost(), [end(), end({ from: 'srv-1', atMs: 10_300 })], 'RST by srv-2'],
    ['not one that reset another port', lost(), [end({ port: 40_001 })], 'ECONNRESET'],
    ['not one that reset the port long before', lost(), [end({ atMs: 1000 })], 'ECONNRESET'],
    ['the server that ended it', lost({ how: 'EOF' }), [end(), end({ how: 'FIN', from: 'srv-1' })], 'FIN by srv-1'],
    ['nobody, where nothing came', lost({ how: 'silence' }), [end()], 'silence'],
    ['the server that refused it', lost({ how: 'no connection: ECONNREFUSED' }), [end()], 'RST by srv-2'],
  ] as const)('is %s', ([, what, ends, who]) => {
    expect(whoCut(what, ends)).toBe(who)
  })
})

const EVENT = 9500
const NONE = { of: 0, lost: 0, list: [] }
const SEEN: TrafficSeen = {
  open: { of: 110, lost: 3, list: [lost(), lost({ how: 'silence' })] },
  fresh: { of: 2000, lost: 1, list: [lost({ what: 'new', how: 'EOF before the end' })] },
  keptAlive: { ...NONE, of: 1500 },
  closedBetween: 20,
  transfers: { ...NONE, of: 3 },
  silenceMs: 120,
}

test('a round counts every loss, listed or not', () => {
  expect(figuresOf(SEEN, [end()], EVENT)).toMatchObject({
    rounds: 1,
    open: { lost: 3, of: 110 },
    by: { 'open: RST by srv-2': 1, 'open: silence': 1, 'open: not listed': 1, 'new: EOF before the end': 1 },
  })
})

test('what was lost before the event is told apart from what the event did', () => {
  const open = { of: 110, lost: 2, list: [lost({ atMs: EVENT - 1 }), lost({ atMs: EVENT + 700, how: 'silence' })] }
  const one = { ...figuresOf({ ...SEEN, open, fresh: NONE }, [], EVENT), moves: 1 }
  expect(one).toMatchObject({ open: { lost: 1, of: 110 }, early: 1, cutAfterMs: [700, 700] })
  expect(one.by).toEqual({ 'before the event, open: ECONNRESET': 1, 'open: silence': 1 })
  const sum = addFigures(one, one)
  expect(sum.early).toBe(2)
  expect(renderFigures(sum)).toContain('lost before the event 2')
})

test('rounds are added up, and the longest silence is the longest of all', () => {
  const [one, two] = [
    { ...figuresOf(SEEN, [end()], EVENT), moves: 1 },
    { ...figuresOf({ ...SEEN, silenceMs: 90 }, [], EVENT - 20_000), moves: 2 },
  ]
  const sum = addFigures(addFigures(undefined, one), two)
  expect(sum).toMatchObject({
    rounds: 2,
    open: { lost: 6, of: 220 },
    fresh: { lost: 2, of: 4000 },
    closedBetween: 40,
    silenceMs: 120,
    moves: 3,
    cutAfterMs: [500, 20_500],
  })
  expect(sum.by).toMatchObject({ 'open: RST by srv-2': 1, 'open: ECONNRESET': 1, 'open: silence': 2 })
  expect(renderFigures(sum)).toContain('open connections cut 6 of 220 (after 0.50 s to 20.50 s), new requests lost 2 of 4,000')
})

describe('the sums', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-figures-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const BENCH = '01234567'
  const DRAIN = { event: 'drain', suite: 'bookworm', version: 'abc1234' }

  test('go on in the next run, by event, suite, version and bench', () => {
    const file = join(folder, 'state/figures.json')
    const round = { ...figuresOf(SEEN, [], EVENT), moves: 1 }
    keptIn(file, BENCH).add(DRAIN, round)
    const next = keptIn(file, BENCH)
    expect(next.of({ ...DRAIN, version: 'def5678' })).toBeUndefined()
    expect(keptIn(file, '89abcdef').of(DRAIN)).toBeUndefined()
    expect(next.add(DRAIN, round).rounds).toBe(2)
    expect(keptIn(file, BENCH).of(DRAIN)?.open.of).toBe(220)
  })

  test('belong to a bundle by what it and its parts contain, wherever they lie', () => {
    const bundle = (name: string, main: string, part: string) => {
      mkdirSync(join(folder, name, 'parts'), { recursive: true })
      writeFileSync(join(folder, name, 'parts/drain.mjs'), part)
      writeFileSync(join(folder, name, 'hactl.mjs'), main)
      return fingerprintOf(bundleFiles(join(folder, name, 'hactl.mjs')))
    }
    const one = bundle('one', 'a', 'b')
    expect(bundle('same', 'a', 'b')).toBe(one)
    expect(bundle('main', 'a2', 'b')).not.toBe(one)
    expect(bundle('part', 'a', 'b2')).not.toBe(one)
  })

  test('belong to the bench with all its files', () => {
    expect(benchFiles().map(file => basename(file))).toEqual(
      expect.arrayContaining(['bench-connections.ts', 'events.ts', 'figures.ts', 'traffic-process.ts', 'ends.pl']),
    )
  })

  test('are not begun anew where the file cannot be read', () => {
    const file = join(folder, 'figures.json')
    writeFileSync(file, '{"drain')
    expect(() => keptIn(file, BENCH)).toThrow(/cannot be read/)
  })
})

describe('an event', () => {
  const server = { name: 'srv-1', host: '198.18.1.11', container: 'srv-1' } as Hands['servers'][number]
  const hands: Hands = {
    servers: [server, server, server],
    hactl: async () => {},
    untilHome: async () => {},
    rulesOfEngine: async () => async () => {},
    rollOut: async () => {},
  }
  const named = (name: string) => EVENTS.find(event => event.name === name)

  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-events-'))
    writeFileSync(join(folder, 'docker'), '#!/bin/sh\necho "no such unit" >&2\nexit 5\n', { mode: 0o755 })
    vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH'] ?? ''}`)
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })

  test.for(['haproxy-reload', 'haproxy-stop', 'keepalived-restart', 'keepalived-kill', 'stop-in-reload'])(
    '%s that fails on the server stops the bench, with what the server said',
    async name => {
      await expect(named(name)?.act(hands)).rejects.toThrow(/srv-1: .*\n.*exit 5: no such unit/)
    },
  )

  test.for(['nft-flush', 'ufw-reload', 'firewalld-reload', 'upgrade'])('%s that cannot be prepared stops the bench', async name => {
    await expect(named(name)?.before?.(hands)).rejects.toThrow(/exit 5: no such unit/)
  })

  test.for(EVENTS.filter(({ startsAway }) => startsAway === true))(
    '$name, which takes the first server away first, gives it back',
    event => {
      expect(event.after).toBeDefined()
    },
  )

  test('with a firewall takes it off again where the server cannot be undrained', async () => {
    writeFileSync(join(folder, 'docker'), `#!/bin/sh\necho "$@" >>${folder}/said\n`, { mode: 0o755 })
    const failing = { ...hands, hactl: () => Promise.reject(new Error('cannot undrain')) }
    await expect(named('ufw-reload')?.after?.(failing)).rejects.toThrow('cannot undrain')
    expect(readFileSync(join(folder, 'said'), 'utf8')).toContain('ufw --force disable')
  })

  test('that reboots a server may lose its shell on the way', async () => {
    await expect(named('reboot')?.act(hands)).resolves.toMatchObject({ code: 5 })
  })

  test('counts only where each address that it must move has moved', () => {
    expect(whyNoRound({ name: 'drain', moves: 'some' }, [1, 0])).toMatch(/drain must move the address/)
    expect(whyNoRound({ name: 'drain', moves: 'some' }, [1, 2])).toBeUndefined()
    expect(whyNoRound({ name: 'haproxy-reload', moves: 'none' }, [0])).toBeUndefined()
    expect(whyNoRound({ name: 'keepalived-kill', moves: 'any' }, [0])).toBeUndefined()
  })
})

test.for([
  ['2: eth0    inet 198.18.1.200/24 scope global secondary eth0', true],
  ['[2026-01-02T03:04:05.678901] 2: eth0    inet 198.18.1.200/24 scope global secondary eth0', true],
  ['[2026-01-02T03:04:05.678901] Deleted 2: eth0    inet 198.18.1.200/24 scope global secondary eth0', false],
  ['2: eth0    inet 198.18.1.20/24 scope global eth0', undefined],
  ['[2026-01-02T03:04:05.678901] 1: lo    inet 198.18.1.200/32 scope host lo', undefined],
] as const)('"%s" says of the address: held %s', ([line, holds]) => {
  expect(saysHeld(line, '198.18.1.200')).toBe(holds)
})

test.for([
  ['one', ['198.18.1.200 srv-1']],
  ['two', ['198.18.1.200 srv-1', '198.18.1.201 srv-2']],
  ['ipv6', ['198.18.1.200 srv-1', '2001:2:0:1::200 srv-1']],
] as const)('layout %s is home where each of its addresses is', ([layout, homes]) => {
  const servers = [1, 2, 3].map(n => ({ name: `srv-${n}`, host: `198.18.1.1${n}` }))
  const lab = { vip: '198.18.1.200', prefix: '198.18.1', key: '/lab/key', known_hosts: '/lab/known_hosts', servers } as unknown as LabFile
  const seen = homesOf(lab, layout)
  expect(seen.map(({ address, home }) => `${address} ${home}`)).toEqual(homes)
  const inventory = JSON.parse(inventoryFor(lab, layout, 0)) as { vrrp_instances: { virtual_ipaddress: string[] }[] }
  expect(inventory.vrrp_instances.flatMap(one => one.virtual_ipaddress.map(text => text.split('/')[0]))).toEqual(
    seen.map(({ address }) => address),
  )
})

describe('a kept-alive connection', () => {
  const crossed: KeptEnd = { how: 'EOF', used: 5, heard: '', waitedMs: 25, slowestMs: 30 }
  test.for([
    ['closed, as its end came no later than an answer', {}, true],
    ['closed, as nobody was asking', { waitedMs: undefined }, true],
    ['lost, as its end came later than any answer', { waitedMs: 31 }, false],
    ['lost, as it was reset at a request', { how: 'ECONNRESET' }, false],
    ['lost, as it was reset while nobody was asking', { how: 'ECONNRESET', waitedMs: undefined }, false],
    ['lost, as it ended within an answer', { heard: 'HTTP/1.1 200 OK' }, false],
    ['lost, as it never brought an answer', { used: 0, slowestMs: 0, waitedMs: 0 }, false],
    ['lost, as it fell silent', { how: 'silence' }, false],
  ] as const)('is %s', ([, over, isClosed]) => {
    expect(isClosedBetween({ ...crossed, ...over })).toBe(isClosed)
  })
})
