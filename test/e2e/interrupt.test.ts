/** Runs that are interrupted, killed or cut off in the middle. Needs: any lab. Leaves: the fast profile, converged. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { expectExit, expectRefusal, labHaproxy, labInventory, resultOf, type Running } from './support/hactl.ts'
import { openLab, pause, SERVERS, until } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { expectNoHole, startPoller } from './support/poller.ts'
import { residue, services, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab, { restores: true })
let seconds = 30

/** A deploy with something to do on every server. */
function startDeploy(...argv: string[]): Running {
  work.writeInventory(labInventory(lab, { haproxy: labHaproxy(lab, { defaults: [`timeout client ${++seconds}s`] }) }))
  return work.start(['deploy', '--yes', '--json', ...argv])
}

async function expectUnlocked(): Promise<void> {
  expect(await lab.everywhere('ls -d /var/lib/hactl/lock 2>/dev/null || true')).toEqual(['', '', ''])
}

async function expectWhole(): Promise<void> {
  expect(await lab.everywhere('systemctl is-active haproxy keepalived')).toEqual(SERVERS.map(() => 'active\nactive\n'))
  expect(await lab.everywhere('haproxy -c -q -f /etc/haproxy/haproxy.cfg; keepalived -t -f /etc/keepalived/keepalived.conf 2>&1')).toEqual([
    '',
    '',
    '',
  ])
  expect(await lab.everywhere('find /etc /usr/local -name "*.hactl-new"')).toEqual(['', '', ''])
  expect(await lab.holders()).toEqual(['srv-1'])
}

async function expectConverges(): Promise<void> {
  expectExit(await work.hactl(['deploy', '--yes', '--json']), 0)
  expect(await lab.everywhere(`grep -c 'timeout client ${seconds}s' /etc/haproxy/haproxy.cfg`)).toEqual(['1\n', '1\n', '1\n'])
  const again = await work.hactl(['deploy', '--yes', '--json'])
  expectExit(again, 0)
  expect(resultOf(again).servers?.map(server => server.changed)).toEqual([[], [], []])
}

const stepOn = (server: string, id: string) => (line: { readonly event: string; readonly server?: string; readonly id?: string }) =>
  line.event === 'action-started' && line.server === server && line.id === id
const isDisturbed = (line: { readonly event: string }) => line.event === 'drill-disturbed'

interface InterruptedReport {
  readonly exit: number
  readonly drills: readonly {
    readonly verdict: string
    readonly restored: boolean
    readonly samples: { readonly probes: { readonly rows: readonly unknown[] } }
  }[]
}

describe('a deploy', () => {
  test.for([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s while a server is being switched: that server is finished or put back, no other is begun, exit %i',
    async ([signal, exit]) => {
      const poller = await startPoller(lab.vip)
      const run = startDeploy()
      const wave = await run.line('the first wave', line => line.event === 'wave-started')
      const [first = ''] = wave.servers ?? []
      await run.line('a step on it', stepOn(first, 'service/haproxy'))
      run.signal(signal)
      const ended = await run.ended
      const seen = await poller.stop()
      expectRefusal(ended, exit, 'E_INTERRUPTED', { fix: /hactl deploy/ })
      expect(ended.lines.filter(line => line.event === 'wave-started')).toHaveLength(1)
      expect(first).not.toBe('srv-1')
      await expectWhole()
      expect(seen).toMatchObject({ failed: 0, errors: [] })
      await expectConverges()
    },
  )

  test('killed in the middle: the lock frees itself within 30 s, the next run converges, the third has nothing to do', async () => {
    const poller = await startPoller(lab.vip)
    const run = startDeploy()
    await run.line('the holder', stepOn('srv-1', 'service/haproxy'))
    run.signal('SIGKILL')
    const killedMs = performance.now()
    expect((await run.ended).exit).toBe(137)
    expectRefusal(await work.hactl(['deploy', '--yes', '--json']), 5, 'E_LOCKED', { what: /tester@/, fix: /hactl unlock/ })
    expect(resultOf(await work.hactl(['unlock', '--json'])).exit).toBe(5)
    await until('the lock is free', 35_000, async () => (await work.hactl(['deploy', '--yes', '--quiet'])).exit === 0)
    expect(performance.now() - killedMs).toBeLessThan(35_000)
    const seen = await poller.stop()
    await expectWhole()
    await expectConverges()
    expect(seen).toMatchObject({ failed: 0, errors: [] })
  })

  test('unlock --force does not wait for a dead run', async () => {
    const run = startDeploy()
    await run.line('the lock', line => line.event === 'lock-taken')
    run.signal('SIGKILL')
    await run.ended
    await pause(1000)
    expectExit(await work.hactl(['unlock', '--force', '--json']), 0)
    await expectConverges()
    await expectWhole()
  })

  test('the connection to a server is cut while it is changed: it is restored over a new one, and the run stops', async () => {
    const run = startDeploy()
    const wave = await run.line('the first wave', line => line.event === 'wave-started')
    const [first = ''] = wave.servers ?? []
    await run.line('a step on it', stepOn(first, 'service/haproxy'))
    // Its sshd sessions end, sshd itself goes on.
    await lab.sh(first, 'pkill -KILL -f "^sshd: root@"')
    const ended = await run.ended
    expectRefusal(ended, 6, 'E_CONNECTION_LOST', { fix: /./ })
    expect(resultOf(ended).server).toBe(first)
    await expectWhole()
    await expectUnlocked()
    await expectConverges()
  })

  test('the cable of a server is cut while it is changed: the run says so and stops, and a later run converges', async () => {
    const run = startDeploy('--timeout', '4')
    const wave = await run.line('the first wave', line => line.event === 'wave-started')
    const [first = ''] = wave.servers ?? []
    await lab.cut(first)
    const ended = await run.ended
    await lab.mend(first)
    expectRefusal(ended, 6, 'E_CONNECTION_LOST', { fix: /./ })
    expect(resultOf(ended).server).toBe(first)
    // Only the lock on the unreachable server is left: it expires by itself.
    await until('the deploy goes through', 40_000, async () => (await work.hactl(['deploy', '--yes', '--quiet'])).exit === 0)
    await expectWhole()
    await expectConverges()
  })
})

describe('a drill', () => {
  test('Ctrl+C while haproxy is stopped: it runs again, and no timer is left', async () => {
    await untilHeldBy(lab, 'srv-1')
    const run = work.start(['verify-failover', '--yes', '--json', '--report', 'interrupted.json'])
    await run.line('the disturbance', isDisturbed)
    await until('haproxy is stopped', 10_000, async () => (await lab.trySh('srv-1', 'systemctl is-active --quiet haproxy')).code !== 0)
    run.signal('SIGINT')
    const ended = await run.ended
    expectExit(ended, 130)
    expect(resultOf(ended).code).toBe('E_INTERRUPTED')
    const { exit, drills } = JSON.parse(readFileSync(join(work.dir, 'interrupted.json'), 'utf8')) as InterruptedReport
    expect(exit).toBe(130)
    expect(drills.map(({ verdict, restored }) => ({ verdict, restored }))).toEqual([{ verdict: 'failed', restored: true }])
    // What was seen until then is kept: a second before the disturbance alone is 50 probes.
    expect(drills[0]?.samples.probes.rows.length).toBeGreaterThan(20)
    expect(await lab.sh('srv-1', 'systemctl is-active haproxy')).toBe('active\n')
    expect(await residue(lab)).toBe('')
    await untilHeldBy(lab, 'srv-1')
    await expectWhole()
  })

  test('the controller is killed: the server undoes the drill itself within 60 s, and the cluster is as before', async () => {
    await untilHeldBy(lab, 'srv-1')
    const before = await services(lab)
    const poller = await startPoller(lab.vip)
    const run = work.start(['verify-failover', '--yes', '--json'])
    await run.line('the disturbance', isDisturbed)
    await until('haproxy is stopped', 10_000, async () => (await lab.trySh('srv-1', 'systemctl is-active --quiet haproxy')).code !== 0)
    run.signal('SIGKILL')
    await run.ended
    expect(await residue(lab)).toMatch(/^hactl-undo-\w+\.timer$/m)
    await until(
      'haproxy runs again by itself',
      60_000,
      async () => (await lab.trySh('srv-1', 'systemctl is-active --quiet haproxy')).code === 0,
    )
    await untilHeldBy(lab, 'srv-1')
    await until('no unit of the drill is left', 5000, async () => (await residue(lab)) === '')
    const seen = await poller.stop()
    expectNoHole(seen)
    expect((await services(lab)).slice(1)).toEqual(before.slice(1))
    await until('the lock is free', 30_000, async () => (await work.hactl(['deploy', '--yes', '--quiet'])).exit === 0)
    await expectWhole()
  })

  test('the connection to the holder is cut during the drill: the drill is undone over a new one', async () => {
    await untilHeldBy(lab, 'srv-1')
    const run = work.start(['verify-failover', '--yes', '--json'])
    await run.line('the disturbance', isDisturbed)
    await lab.sh('srv-1', 'pkill -KILL -f "^sshd: root@"')
    const ended = await run.ended
    // Whether the drill could be judged or not: the service is restored and nothing is left.
    expect([0, 6, 7]).toContain(ended.exit)
    expect(await lab.sh('srv-1', 'systemctl is-active haproxy')).toBe('active\n')
    expect(await residue(lab)).toBe('')
    await untilHeldBy(lab, 'srv-1')
    await until('the lock is free', 30_000, async () => (await work.hactl(['deploy', '--yes', '--quiet'])).exit === 0)
    await expectWhole()
  })
})
