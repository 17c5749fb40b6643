/**
 * keepalived 2.2.8 to 2.3.2 (Ubuntu 24.04 has 2.2.8) write init_file's value over track files that exist: what hactl deploys has to hold there,
 * and what it deployed before has to become so. Needs: nothing; resets the lab. Leaves: the fast profile, converged.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectExit, labInventory, resultOf, type Run } from '../e2e/support/hactl.ts'
import { openLab, pause, SERVERS, until } from '../e2e/support/lab.ts'
import { startLoad } from '../e2e/support/load.ts'
import { freshWorkspace } from '../e2e/support/opening.ts'
import { expectNoHole, startPoller } from '../e2e/support/poller.ts'
import { journalCursors, journalSince, untilHeldBy } from '../e2e/support/servers.ts'
import { installInitFileWriter, makeAsDeployedThen, removeInitFileWriter } from './support/init-file.ts'

const ROUNDS = 5
// For what installs packages and for the rounds: seconds, on a busy machine minutes.
const SLOW = { timeout: 300_000 }

const lab = openLab()
// The check alone is slower than the default, so that a busy machine does not move the address by itself while clients are counted.
const work = freshWorkspace(lab, labInventory(lab, { vrrp_script: { interval: 3, timeout: 3, fall: 3 } }))

const hactl = (...argv: readonly string[]) => work.hactl([...argv, '--yes', '--json'])
const grep = (text: string) => lab.everywhere(`grep -c ${text} /etc/keepalived/keepalived.conf; true`)

/**
 * A request in flight while the address moves is cut, and one that begins between a busy new holder's first advert and its address gets no
 * answer. No connection may be refused, the address may not be away for longer, and no request that every client sends twice may be lost.
 */
const isOfAMove = (error: string) => /^new, http, (?:cut|failed): .*(?:ECONNRESET|socket hang up|no answer)/.test(error)

/** Clients of both kinds and the judge of the address, while `act` runs. */
async function underLoad<T>(act: () => Promise<T>, { moves }: { readonly moves: boolean }): Promise<T> {
  const [load, poller] = [await startLoad(`http://${lab.vip}/`), await startPoller(lab.vip)]
  try {
    await pause(300)
    const done = await act()
    await pause(500)
    return done
  } finally {
    const [seen, polled] = [await load.stop(), await poller.stop()]
    expectNoHole(polled)
    expect(seen).toMatchObject({ keptFailed: 0, keptCut: 0 })
    expect(seen.errors.filter(error => !(moves && isOfAMove(error)))).toEqual([])
    // None on idle machines; on overloaded ones 16 of 5956 were the most that was seen.
    expect(seen.newCut + seen.newFailed).toBeLessThan(seen.newAnswered / 100)
    expect(Math.min(seen.newAnswered, seen.keptAnswered)).toBeGreaterThan(20)
  }
}

/** What each server's keepalived has said of FAULT since then. */
async function faultsSince(cursors: readonly string[]): Promise<readonly string[]> {
  return (await journalSince(lab, cursors, 'keepalived')).flatMap(text => text.split('\n').filter(line => line.includes('FAULT')))
}

async function expectHealthy(drained: readonly string[] = []): Promise<void> {
  const status = await hactl('status')
  expectExit(status, 0)
  expect(resultOf(status).servers?.map(server => [server.name, server.problems])).toEqual(SERVERS.map(server => [server, []]))
  expect(
    resultOf(status)
      .servers?.filter(server => (server as unknown as { drained: boolean }).drained)
      .map(({ name }) => name),
  ).toEqual(drained)
}

async function reboot(server: string): Promise<void> {
  const bootId = await lab.sh(server, 'cat /proc/sys/kernel/random/boot_id')
  await lab.trySh(server, 'systemctl --no-block reboot')
  await until(`${server} is back`, 60_000, async () => {
    const now = await lab.trySh(server, 'cat /proc/sys/kernel/random/boot_id; systemctl is-active haproxy keepalived')
    return now.code === 0 && now.stdout.endsWith('\nactive\nactive\n') && !now.stdout.startsWith(bootId)
  })
  // keepalived trusts haproxy after a whole run of the check, and the run during which haproxy started may have failed.
  await until(`${server} is healthy`, 40_000, async () => (await hactl('status')).exit === 0)
}

beforeAll(() => installInitFileWriter(lab))

afterAll(() => removeInitFileWriter(lab))

describe('where keepalived writes init_file over existing files', SLOW, () => {
  test('a first deploy makes a cluster that is healthy, with haproxy_down saying that haproxy runs', async () => {
    expectExit(await hactl('deploy'), 0)
    await untilHeldBy(lab, 'srv-1')
    await expectHealthy()
    expect(await lab.everywhere('cat /run/hactl/haproxy_down')).toEqual(SERVERS.map(() => '0\n'))
  })

  test(`keepalived restarted on each server in turn, ${ROUNDS} times: no server in FAULT, and no kept connection loses a request`, async () => {
    const cursors = await journalCursors(lab)
    await underLoad(
      async () => {
        for (let round = 0; round < ROUNDS; round++) {
          for (const server of SERVERS) {
            await lab.sh(server, 'systemctl restart keepalived')
            await untilHeldBy(lab, 'srv-1', 40_000)
          }
          await pause(1000)
        }
      },
      { moves: true },
    )
    expect(await faultsSince(cursors)).toEqual([])
    await expectHealthy()
  })

  test('a drain survives a restart, a reload, a new package, and, with --persist, a reboot', async () => {
    const cursors = await journalCursors(lab)
    const expectDrained = async () => {
      await pause(2000)
      expect(await lab.holders()).toEqual(['srv-2'])
      await expectHealthy(['srv-1'])
    }
    expectExit(await hactl('drain', 'srv-1'), 0)
    await lab.sh('srv-1', 'systemctl restart keepalived')
    await expectDrained()
    await lab.sh('srv-1', 'systemctl reload keepalived')
    await expectDrained()
    await lab.sh('srv-1', 'DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Options::=--force-confold install --reinstall keepalived')
    await expectDrained()
    expect(await faultsSince(cursors)).toEqual([])
    expectExit(await hactl('drain', 'srv-1', '--persist'), 0)
    await reboot('srv-1')
    await expectDrained()
    expectExit(await hactl('undrain', 'srv-1'), 0)
    await untilHeldBy(lab, 'srv-1')
  })

  test('a server that was not drained reboots, takes the address when haproxy answers, and is healthy', async () => {
    await reboot('srv-1')
    await untilHeldBy(lab, 'srv-1', 40_000)
    await expectHealthy()
    expect(await lab.sh('srv-1', 'cat /run/hactl/drain /run/hactl/haproxy_down')).toBe('0\n0\n')
  })
})

describe('a cluster that was deployed with init_file', SLOW, () => {
  const warnings = (run: Run) => run.lines.filter(line => line.event === 'warning' && line.text?.includes('init_file'))

  test('a deploy removes init_file without a lost request, and a second deploy has nothing to do', async () => {
    await removeInitFileWriter(lab)
    await makeAsDeployedThen(lab)
    await untilHeldBy(lab, 'srv-1')
    const run = await underLoad(() => hactl('deploy'), { moves: false })
    expectExit(run, 0)
    for (const { changed } of resultOf(run).servers ?? []) expect(changed).toEqual(expect.arrayContaining(['file/keepalived.conf']))
    expect(await grep('init_file')).toEqual(SERVERS.map(() => '0\n'))
    await untilHeldBy(lab, 'srv-1')
    await expectHealthy()
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })

  test('a rollback to its record leaves init_file out, and says so for every server', async () => {
    const run = await hactl('rollback')
    expectExit(run, 0)
    expect(warnings(run).map(({ server }) => server)).toEqual(SERVERS)
    expect(await grep('init_file')).toEqual(SERVERS.map(() => '0\n'))
    await untilHeldBy(lab, 'srv-1')
    await expectHealthy()
  })

  test('a deploy brings the address back where init_file put every server into FAULT', async () => {
    await makeAsDeployedThen(lab)
    await installInitFileWriter(lab)
    await lab.everywhere('systemctl restart keepalived')
    await pause(5000)
    expect(await lab.holders()).toEqual([])
    const status = await hactl('status')
    expectExit(status, 7)
    const deploy = await hactl('deploy')
    expectExit(deploy, 0)
    await untilHeldBy(lab, 'srv-1')
    await expectHealthy()
    await lab.everywhere('systemctl restart keepalived')
    await untilHeldBy(lab, 'srv-1', 40_000)
    await expectHealthy()
  })
})
