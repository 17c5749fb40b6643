/** drain and undrain with the fast profile, judged by an independent poller. Needs: any lab. Leaves: the fast profile, nothing drained. */
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { expectExit, type Result, resultOf, type Run } from './support/hactl.ts'
import { openLab, pause, SERVERS, until, watchHolders } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { type Polled, startPoller } from './support/poller.ts'
import { untilHeldBy } from './support/servers.ts'

interface Moved extends Result {
  readonly drained: boolean
  readonly survives_reboot: boolean
  readonly vips: readonly {
    readonly from: string
    readonly to: string | null
    readonly outage_ms: number
    readonly failed_probes: number
  }[]
}

const lab = openLab()
const work = deployedWorkspace(lab)

const movedOf = (run: Run): Moved => resultOf(run) as Moved
const hactl = (...argv: readonly string[]) => work.hactl([...argv, '--yes', '--json'])

async function undrainAll(): Promise<void> {
  for (const server of SERVERS) expectExit(await hactl('undrain', server), 0)
}

/** Runs it under the poller. A connection in flight while the address moves is cut; none may be refused or left without an answer. */
async function polled(task: () => Promise<Run>): Promise<{ readonly run: Run; readonly seen: Polled }> {
  const poller = await startPoller(lab.vip)
  const run = await task()
  const seen = await poller.stop()
  expect(seen.errors.filter(error => !/ECONNRESET|socket hang up/.test(error))).toEqual([])
  return { run, seen }
}

beforeAll(async () => {
  await undrainAll()
})

beforeEach(() => untilHeldBy(lab, 'srv-1'))

afterEach(undrainAll)

describe('drain', () => {
  test('of the holder and back, three times: neither hactl nor the poller sees a lost request', async () => {
    const lost: number[] = []
    for (let round = 0; round < 3; round++) {
      const holders = await watchHolders(lab)
      const drained = await polled(() => hactl('drain', 'srv-1'))
      expectExit(drained.run, 0)
      expect(movedOf(drained.run)).toMatchObject({ drained: true, survives_reboot: false, vips: [{ from: 'srv-1', to: 'srv-2' }] })
      expect(await lab.holders()).toEqual(['srv-2'])
      const back = await polled(() => hactl('undrain', 'srv-1'))
      expectExit(back.run, 0)
      expect(movedOf(back.run)).toMatchObject({ drained: false, vips: [{ from: 'srv-2', to: 'srv-1' }] })
      expect(await lab.holders()).toEqual(['srv-1'])
      const held = await holders.stop()
      expect(held.twoHoldersMs).toBeLessThan(1000)
      lost.push(drained.seen.failed, back.seen.failed)
      for (const { run, seen } of [drained, back]) {
        expect(Math.abs((movedOf(run).vips[0]?.outage_ms ?? Number.NaN) - seen.outageMs)).toBeLessThanOrEqual(100)
      }
    }
    expect(lost.toSorted((a, b) => a - b)[lost.length / 2 - 1]).toBe(0)
    // The routes by which an old holder answers are gone from every server.
    const routes = await lab.everywhere(`ip route show table local ${lab.vip} dev lo`)
    expect(routes).toEqual(['', '', ''])
  })

  test('is shown by status, is no drift and no problem, and lasts over restarts and a deploy until undrain', async () => {
    expectExit(await hactl('drain', 'srv-1'), 0)
    await lab.sh('srv-1', 'systemctl restart keepalived && systemctl restart haproxy')
    expectExit(await hactl('deploy', '--reload'), 0)
    await pause(2000)
    const status = await hactl('status')
    expectExit(status, 0)
    expect(resultOf(status).servers?.[0]).toMatchObject({ drained: true, state: 'BACKUP', effective_priority: 1, drift: [], problems: [] })
    expect(await lab.holders()).toEqual(['srv-2'])
    expectExit(await hactl('undrain', 'srv-1'), 0)
  })

  test('is taken back by Ctrl+C', async () => {
    const running = work.start(['drain', 'srv-1', '--yes', '--json'])
    await running.line('the move has begun', line => line.event === 'gate-waiting')
    running.signal('SIGINT')
    expectExit(await running.ended, 130)
    expect(await lab.sh('srv-1', 'cat /run/hactl/drain')).toBe('0\n')
    await untilHeldBy(lab, 'srv-1')
  })
})

test('a drain with --persist lasts over a reboot, and no client notices the reboot', async () => {
  expectExit(await hactl('drain', 'srv-1', '--persist'), 0)
  const bootId = await lab.sh('srv-1', 'cat /proc/sys/kernel/random/boot_id')
  const { seen } = await polled(async () => {
    await lab.sh('srv-1', 'systemctl --no-block reboot').catch(() => undefined)
    await until('srv-1 is back', 60_000, async () => {
      const now = await lab.sh('srv-1', 'cat /proc/sys/kernel/random/boot_id; systemctl is-active haproxy').catch(() => '')
      return now.includes('\nactive') && !now.startsWith(bootId)
    })
    await pause(3000)
    return hactl('status')
  })
  expect(seen.failed).toBe(0)
  const status = resultOf(await hactl('status'))
  expect(status.servers?.[0]).toMatchObject({ drained: true, drains_at_boot: true, state: 'BACKUP', drift: [], problems: [] })
  expectExit(await hactl('undrain', 'srv-1'), 0)
  expect(await lab.sh('srv-1', 'ls /etc/tmpfiles.d')).toBe('hactl.conf\n')
})

describe('where no healthy server is left', () => {
  test('two of three drained: the third holds the address, is drained only with --force, and still serves', async () => {
    const { run } = await polled(async () => {
      expectExit(await hactl('drain', 'srv-1'), 0)
      return hactl('drain', 'srv-2')
    })
    expect(movedOf(run).vips).toEqual([expect.objectContaining({ from: 'srv-2', to: 'srv-3' })])
    const refusal = await hactl('drain', 'srv-3')
    expectExit(refusal, 5)
    expect(resultOf(refusal)).toMatchObject({ code: 'E_UNHEALTHY', why: expect.arrayContaining(['srv-1: is drained itself']) })
    const all = await polled(async () => {
      const forced = await hactl('drain', 'srv-3', '--force')
      await pause(3000)
      return forced
    })
    expectExit(all.run, 0)
    expect(movedOf(all.run).vips).toEqual([expect.objectContaining({ from: 'srv-3', to: null })])
    expect(all.seen.failed).toBe(0)
    expect(await lab.holders()).toEqual(['srv-3'])
  })

  test('haproxy stopped everywhere: nobody holds the address, until the first one starts again', async () => {
    await lab.everywhere('systemctl stop haproxy')
    await until('nobody holds the address', 10_000, async () => (await lab.holders()).length === 0)
    expectExit(await hactl('status'), 7)
    expectExit(await hactl('drain', 'srv-1'), 5)
    await lab.sh('srv-3', 'systemctl start haproxy')
    await untilHeldBy(lab, 'srv-3')
    await lab.everywhere('systemctl start haproxy')
  })
})
