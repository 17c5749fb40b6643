import { beforeAll, describe, expect, test } from 'vitest'
import { gatesFor, settleLimitMs } from '../../../src/engine/operations/gates.ts'
import { type LoadedCluster, loadCluster } from '../../../src/app/load.ts'
import type { EngineEvent } from '../../../src/engine/events.ts'
import type { ProbeAnswer } from '../../../src/ports.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { Secret } from '../../../src/secret.ts'
import { INVENTORY_PATH, memoryPorts } from '../../support/memory-ports.ts'
import { withService } from '../../support/open-said.ts'
import { BACKUP, HOLDER, HUNG, RECORDED_INVENTORY } from '../../support/recorded-cluster.ts'
import { type FakeSession, fakeSession, fixedLinks } from '../../support/remote.ts'

const INVENTORY = JSON.stringify(RECORDED_INVENTORY)

let loaded: LoadedCluster
beforeAll(async () => {
  loaded = await loadCluster(INVENTORY_PATH, memoryPorts(new Map([['inventory.yml', INVENTORY]])))
})

interface World {
  readonly clock: ManualClock
  readonly abort: AbortController
  readonly events: EngineEvent[]
  readonly sessions: Map<string, FakeSession>
  /** By server: its answer to a look. */
  readonly says: Map<string, string>
  /** From a server's answer to its arrival. */
  lookTakesMs: number
  /** What an answer through the address looks like, from the controller. */
  probe: ProbeAnswer
  probes: number
  /** The same from a server. */
  fromServer: 'ok' | 'refused'
  gates(options?: { readonly heldBefore: boolean; readonly complete: boolean }): ReturnType<typeof gatesFor>
}

function world(): World {
  const clock = manualClock()
  const abort = new AbortController()
  const events: EngineEvent[] = []
  const says = new Map([
    ['srv-1', HOLDER],
    ['srv-2', BACKUP],
  ])
  const sessions = new Map(
    ['srv-1', 'srv-2'].map(name => [
      name,
      fakeSession(name, [
        {
          when: /^ask_keepalived$/m,
          async reply() {
            const stdout = says.get(name) ?? ''
            if (self.lookTakesMs > 0) await clock.sleep(self.lookTakesMs)
            return { stdout }
          },
        },
        { when: /^last_words /, reply: () => ({ stdout: 'haproxy says why\n(Line 7) auth_pass hunter22 is odd\n' }) },
        { when: /198\.18\.200\.200/, reply: () => (self.fromServer === 'ok' ? { stdout: 'HTTP/1.1 200 OK\n' } : { code: 1 }) },
      ]),
    ]),
  )
  const self: World = {
    clock,
    abort,
    events,
    sessions,
    says,
    lookTakesMs: 0,
    probe: { ok: true, tookMs: 1 },
    probes: 0,
    fromServer: 'refused',
    gates(options = { heldBefore: true, complete: true }) {
      const probe = async () => {
        self.probes += 1
        return self.probe
      }
      const ports = memoryPorts(new Map(), { clock, probe, signal: abort.signal })
      const authentication = { type: 'PASS', pass: new Secret('hunter22') } as const
      const cluster = { ...loaded.cluster, instances: loaded.cluster.instances.map(instance => ({ ...instance, authentication })) }
      const links = fixedLinks(sessions.values())
      return gatesFor({ cluster, links, ports, onEvent: event => events.push(event) }, { observed: new Map(), ...options })
    },
  }
  return self
}

const kinds = (from: World) => from.events.map(({ kind }) => kind)

describe('the gate services-healthy', () => {
  test('passes for servers with a good answer', async () => {
    const it = world()
    await it.clock.settle(it.gates().pass('services-healthy', ['srv-1', 'srv-2']))
    expect(kinds(it)).toEqual(['gate-passed'])
  })

  test('asks only the servers of the wave', async () => {
    const it = world()
    await it.clock.settle(it.gates().pass('services-healthy', ['srv-2']))
    expect([...it.sessions.values()].map(session => session.sent.length)).toEqual([0, 1])
  })

  test('waits, looks again, and goes on as soon as it passes', async () => {
    const it = world()
    it.says.set('srv-2', HUNG)
    const passing = it.gates().pass('services-healthy', ['srv-2'])
    await it.clock.advance(1000)
    expect(it.events.at(-1)).toMatchObject({ kind: 'gate-waiting', detail: 'srv-2: haproxy does not answer its check' })
    it.says.set('srv-2', BACKUP)
    await it.clock.settle(passing)
    expect(it.events.at(-1)).toMatchObject({ kind: 'gate-passed' })
  })

  test.each([
    ['does not run', 'stopped'],
    ['has not loaded its rules', 'running\nrules missing'],
    ['could not prepare this server for VRRP1', 'running\nrules owner\ninstance VRRP1 held\nunarmed VRRP1'],
  ])('waits for the service that keeps open connections, and fails where it stays so: it %s', async (problem, words) => {
    const [why, said] = [`srv-2: hactl-open-connections.service ${problem}`, withService(BACKUP, `able\n${words}\n`)]
    const it = world()
    it.says.set('srv-2', said)
    const passing = it.gates().pass('services-healthy', ['srv-1', 'srv-2'])
    await it.clock.advance(1000)
    expect(it.events.at(-1)).toMatchObject({ kind: 'gate-waiting', detail: expect.stringMatching(`^${why}: a planned move cuts `) })
    it.says.set('srv-2', withService(BACKUP, 'able\nrunning\nrules owner\ninstance VRRP1 none\n'))
    await it.clock.settle(passing)
    expect(it.events.at(-1)).toMatchObject({ kind: 'gate-passed' })

    it.says.set('srv-2', said)
    await expect(it.clock.settle(it.gates().pass('services-healthy', ['srv-2']))).rejects.toMatchObject({
      code: 'E_GATE',
      why: expect.arrayContaining([expect.stringMatching(`^${why}: a planned move cuts `)]),
    })
  })

  test('fails after the time that a healthy cluster may need, with what was seen and the journal', async () => {
    const it = world()
    it.says.set('srv-2', HUNG)
    const startedMs = it.clock.monotonic()
    await expect(it.clock.settle(it.gates().pass('services-healthy', ['srv-2']))).rejects.toMatchObject({
      code: 'E_GATE',
      why: ['srv-2: haproxy does not answer its check', 'srv-2: haproxy says why', 'srv-2: (Line 7) auth_pass *** is odd'],
    })
    expect(it.clock.monotonic() - startedMs).toBeGreaterThan(settleLimitMs(loaded.cluster, 1))
    expect(it.clock.monotonic() - startedMs).toBeLessThan(settleLimitMs(loaded.cluster, 1) + 1000)
    expect(kinds(it).at(-1)).toBe('gate-failed')
  })

  test('waits as much longer as a whole run of the check takes where it is given more time', () => {
    const slow = { ...loaded.cluster, check: { ...loaded.cluster.check, timeout: 10 } }
    expect(settleLimitMs(slow, 1) - settleLimitMs(loaded.cluster, 1)).toBe(8800 - 1000)
  })

  test('a look that takes longer than that is not the last one: the time after it is looked at as well', async () => {
    const it = world()
    it.says.set('srv-2', HUNG)
    it.lookTakesMs = settleLimitMs(loaded.cluster, 1) + 1000
    const passing = it.gates().pass('services-healthy', ['srv-2'])
    await it.clock.advance(it.lookTakesMs)
    it.says.set('srv-2', BACKUP)
    await it.clock.settle(passing)
    expect(kinds(it)).toEqual(['gate-waiting', 'gate-passed'])
  })

  test('ends with an interrupt while it waits', async () => {
    const it = world()
    it.says.set('srv-2', HUNG)
    const passing = it.gates().pass('services-healthy', ['srv-2'])
    const outcome = passing.catch((error: unknown) => error)
    await it.clock.advance(500)
    it.abort.abort('SIGTERM')
    expect(await outcome).toMatchObject({ code: 'E_INTERRUPTED' })
  })

  test('ends with an error where the answer is cut off, because nothing is known then', async () => {
    const it = world()
    it.says.set('srv-2', BACKUP.slice(0, 3000))
    await expect(it.clock.settle(it.gates().pass('services-healthy', ['srv-2']))).rejects.toMatchObject({ code: 'E_PROBE_CUT' })
  })
})

describe('the gate one-holder', () => {
  test('fails while two servers have the address', async () => {
    const it = world()
    it.says.set('srv-2', HOLDER)
    await expect(it.clock.settle(it.gates().pass('one-holder', ['srv-1', 'srv-2']))).rejects.toMatchObject({
      code: 'E_GATE',
      why: expect.arrayContaining(['srv-1 and srv-2 hold 198.18.200.200']),
    })
  })

  test('fails while no server has the address', async () => {
    const it = world()
    it.says.set('srv-1', BACKUP)
    await expect(it.clock.settle(it.gates().pass('one-holder', ['srv-1']))).rejects.toMatchObject({
      why: expect.arrayContaining(['nobody holds 198.18.200.200']),
    })
  })

  test('is not judged with a server left out: that one may hold it', async () => {
    const it = world()
    it.says.set('srv-1', BACKUP)
    await it.clock.settle(it.gates({ heldBefore: true, complete: false }).pass('one-holder', ['srv-1']))
    expect(kinds(it)).toEqual(['gate-passed'])
  })
})

describe('the gate vip-answers', () => {
  test('asks through the address', async () => {
    const it = world()
    await it.clock.settle(it.gates().pass('vip-answers', ['srv-2']))
    expect(it.probes).toBe(1)
  })

  test('sends no probe after the first servers of a cluster whose address nobody holds yet', async () => {
    const it = world()
    await it.clock.settle(it.gates({ heldBefore: false, complete: true }).pass('vip-answers', ['srv-2']))
    expect(it.probes).toBe(0)
  })

  test('lets a server that does not hold the address send the probe where the controller cannot reach it, and says so', async () => {
    const it = world()
    it.probe = { ok: false, tookMs: 1000, error: 'no answer in 1000 ms' }
    it.fromServer = 'ok'
    const gates = it.gates()
    await it.clock.settle(gates.pass('services-healthy', ['srv-1', 'srv-2']))
    await it.clock.settle(gates.pass('vip-answers', ['srv-1', 'srv-2']))
    expect(gates.notes()).toEqual(['198.18.200.200 answers srv-2, but not this machine (no answer in 1000 ms)'])
  })

  test('asks no server where the controller gets a wrong answer', async () => {
    const it = world()
    it.probe = { ok: false, tookMs: 1, status: 503, error: 'HTTP 503' }
    it.fromServer = 'ok'
    await expect(it.clock.settle(it.gates().pass('vip-answers', ['srv-2']))).rejects.toMatchObject({
      code: 'E_GATE',
      why: expect.arrayContaining(['198.18.200.200:80 does not answer (HTTP 503)']),
    })
  })

  test('fails where the answer is cut, as that of a page without an end, and says which page and what to set', async () => {
    const it = world()
    it.probe = { ok: false, tookMs: 1000, status: 200, error: 'the answer was cut: only a part of it in 1000 ms' }
    await expect(it.clock.settle(it.gates().pass('vip-answers', ['srv-2']))).rejects.toMatchObject({
      code: 'E_GATE',
      why: expect.arrayContaining(['198.18.200.200:80 answers / only in part (the answer was cut: only a part of it in 1000 ms)']),
      fix: expect.stringMatching(/^set probe\.path to a page that ends, where \/ is a stream/),
    })
  })

  test('probes an address that did not answer before the change only at the end: the change may fix it', async () => {
    const it = world()
    it.probe = { ok: false, tookMs: 1, error: 'ECONNREFUSED' }
    const gates = it.gates()
    await it.clock.settle(gates.lookFirst())
    expect(it.events).toEqual([
      {
        kind: 'note',
        text: expect.stringMatching(/198\.18\.200\.200:80 does not answer .*before the first change: hactl probes it again/),
      },
    ])
    await it.clock.settle(gates.pass('vip-answers', ['srv-2']))
    await expect(it.clock.settle(gates.pass('vip-answers', ['srv-1', 'srv-2']))).rejects.toMatchObject({ code: 'E_GATE' })
  })

  test('does not count an address as silent for one lost probe', async () => {
    const it = world()
    it.probe = { ok: false, tookMs: 1000, error: 'no answer in 1000 ms' }
    const gates = it.gates()
    const looking = gates.lookFirst()
    await it.clock.advance(0)
    it.probe = { ok: true, tookMs: 1 }
    await it.clock.settle(looking)
    expect(it.probes).toBe(2)
    expect(it.events).toEqual([])
  })

  test('requires after each server that what answered before still answers', async () => {
    const it = world()
    const gates = it.gates()
    await it.clock.settle(gates.lookFirst())
    expect(it.events).toEqual([])
    it.probe = { ok: false, tookMs: 1, error: 'ECONNREFUSED' }
    await expect(it.clock.settle(gates.pass('vip-answers', ['srv-2']))).rejects.toMatchObject({ code: 'E_GATE' })
  })
})
