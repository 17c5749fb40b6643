/**
 * What must work on every release of the lab from the first deploy to the last remove, with every way to root: the key of root, a sudo that
 * asks, a sudo that does not. Needs: nothing; resets the lab. Leaves: servers without hactl.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { expectExit, expectRefusal, type Json, labHaproxy, labInventory, resultOf, type Run, vrrpInstance } from '../e2e/support/hactl.ts'
import { openLab, SERVERS } from '../e2e/support/lab.ts'
import { freshWorkspace, workspaceFor } from '../e2e/support/opening.ts'
import { expectNoHole, startPoller } from '../e2e/support/poller.ts'
import { installOlder, liveFiles, residue, untilHeldBy } from '../e2e/support/servers.ts'

const lab = openLab()
// For what installs packages: seconds, on a busy machine minutes.
const SLOW = { timeout: 300_000 }

interface Way {
  readonly user: string
  readonly how: string
  readonly more?: Json
}
const WAYS: readonly Way[] = [
  { user: 'root', how: 'with the key of root' },
  {
    user: 'deploy',
    how: 'with a sudo that asks for a password',
    more: { become_password: { file: lab.sudo_password_file } },
  },
  { user: 'ops', how: 'with a sudo that asks for nothing' },
]

const inventoryOf = (user: string, more: Json = {}) =>
  labInventory(lab, {
    ssh: { user, identity_file: lab.key, known_hosts: lab.known_hosts },
    // Slower than the default, so that a busy machine does not move the address by itself.
    vrrp_script: { interval: 3, timeout: 3, fall: 3 },
    vrrp_instances: [vrrpInstance(lab, { advert_int: 0.5 })],
    ...more,
  })

interface Row {
  readonly check: string
  readonly server: string
  readonly verdict: string
  readonly found: string
}
interface Report {
  readonly drills: readonly {
    readonly journal: readonly { readonly since_ms: number }[]
    readonly journal_gaps: readonly unknown[]
  }[]
}
const clocks = (run: Run) =>
  (resultOf(run) as unknown as { readonly checks: readonly Row[] }).checks
    .filter(({ check }) => check === 'clock')
    .map(({ server, verdict }) => `${server} ${verdict}`)
const CLOCKS_AGREE = SERVERS.map(server => `${server} passed`)

describe.each(WAYS)('$user, $how', SLOW, ({ user, more = {} }) => {
  const work = freshWorkspace(lab, inventoryOf(user, more))
  // An upgrade and a rollback take a minute, and root's scripts are those that the others run by sudo.
  const bySudo = WAYS.filter(way => way.user === user && user !== 'root')
  const hactl = (...argv: readonly string[]) => work.hactl([...argv, '--yes', '--json'], { limitMs: SLOW.timeout })
  /** The address always answers, and the cluster is healthy afterwards. */
  const unnoticed = async (...argv: readonly string[]): Promise<Run> => {
    const poller = await startPoller(lab.vip)
    const run = await hactl(...argv)
    expectNoHole(await poller.stop())
    expectExit(run, 0)
    await untilHeldBy(lab, 'srv-1')
    return run
  }

  test('bare servers pass every check, and their clocks agree', async () => {
    const run = await work.hactl(['check', '--servers', '--json'])
    expectExit(run, 0)
    expect(clocks(run)).toEqual(CLOCKS_AGREE)
  })

  test('a first deploy makes a cluster that is healthy, and has nothing to do afterwards', async () => {
    const run = await hactl('deploy')
    expectExit(run, 0)
    expect(resultOf(run).holder).toEqual({ [lab.vip]: 'srv-1' })
    const status = await work.hactl(['status', '--json'])
    expectExit(status, 0)
    expect(resultOf(status).servers?.map(({ state, drift, problems }) => ({ state, drift, problems }))).toEqual([
      { state: 'MASTER', drift: [], problems: [] },
      { state: 'BACKUP', drift: [], problems: [] },
      { state: 'BACKUP', drift: [], problems: [] },
    ])
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
    const check = await work.hactl(['check', '--servers', '--json'])
    expectExit(check, 0)
    expect(clocks(check)).toEqual(CLOCKS_AGREE)
  })

  test("a drill passes, shows what the servers' journals say about it, and leaves nothing behind", async () => {
    const run = await hactl('verify-failover', '--drill', 'haproxy-stop', '--max-outage', '8s', '--report', 'drill.json')
    expectExit(run, 0)
    expect(resultOf(run).drills).toMatchObject([
      { drill: 'haproxy-stop', verdict: 'passed', from: 'srv-1', to: 'srv-2', restored: true, reasons: [] },
    ])
    const report = JSON.parse(readFileSync(join(work.dir, 'drill.json'), 'utf8')) as Report
    const [drill] = report.drills
    expect(drill?.journal_gaps).toEqual([])
    expect(drill?.journal.length).toBeGreaterThan(2)
    // A clock that is read wrong puts the lines years away; one that is a little off at most outside the drill.
    for (const line of drill?.journal ?? []) expect(Math.abs(line.since_ms)).toBeLessThan(60_000)
    expect(await residue(lab)).toBe('')
    await untilHeldBy(lab, 'srv-1')
  })

  test.each(bySudo)('an upgrade by $user brings an older package to what the repositories have', async () => {
    const newest = await lab.sh('srv-2', "dpkg-query -W -f='${Version}' haproxy")
    await lab.sh('srv-2', installOlder('haproxy'))
    const run = await unnoticed('upgrade')
    expect(resultOf(run).servers?.map(({ changed }) => changed)).toEqual([[], expect.arrayContaining(['package/haproxy']), []])
    expect(await lab.everywhere("dpkg-query -W -f='${Version}' haproxy")).toEqual(SERVERS.map(() => newest))
  })

  test.each(bySudo)('a rollback by $user restores byte for byte what was there before the last deploy', async () => {
    const before = await liveFiles(lab)
    work.writeInventory(inventoryOf(user, { ...more, haproxy: labHaproxy(lab, { defaults: ['timeout client 50s'] }) }))
    await unnoticed('deploy')
    expect(await liveFiles(lab)).not.toEqual(before)
    await unnoticed('rollback')
    expect(await liveFiles(lab)).toEqual(before)
  })

  test('a remove leaves nothing of hactl', async () => {
    expectExit(await hactl('remove'), 0)
    const left =
      'find / -xdev -name "*hactl*" -not -path "/proc/*" -not -path "/sys/*"; ls -d /run/hactl 2>/dev/null; nft list tables | grep hactl; pgrep -f ^hactl-nft; ip -o addr show to'
    expect(await lab.everywhere(`${left} ${lab.vip}; true`)).toEqual(SERVERS.map(() => ''))
  })
})

describe('sudo', () => {
  const work = workspaceFor(lab, inventoryOf('deploy'))
  const plan = () => work.hactl(['plan', '--json'])

  beforeAll(async () => {
    await lab.heal()
  })

  test('that wants a password is distinguished from one that refuses it', async () => {
    expectRefusal(await plan(), 4, 'E_SUDO', { what: /wants a password/, fix: /-K|become_password/ })
    work.writeInventory(inventoryOf('deploy', { become_password: { file: work.write('wrong_password', 'not-the-password\n') } }))
    const run = await plan()
    expectRefusal(run, 4, 'E_SUDO', { what: /refused the password/, fix: /-K|become_password/ })
    expect(`${run.stdout}${run.stderr}`).not.toContain('not-the-password')
  })

  test('that allows a user nothing is reported as such', async () => {
    await lab.everywhere(
      'id guest >/dev/null 2>&1 || useradd -m -s /bin/bash guest; mkdir -p /home/guest/.ssh; ' +
        'cp /root/.ssh/authorized_keys /home/guest/.ssh/; chown -R guest: /home/guest/.ssh; echo guest:secret-of-guest | chpasswd',
    )
    work.writeInventory(inventoryOf('guest', { become_password: { file: work.write('its_password', 'secret-of-guest\n') } }))
    const result = expectRefusal(await plan(), 4, 'E_SUDO', { what: /does not let "guest" become root/, fix: /usermod -aG sudo guest/ })
    expect(SERVERS).toContain(result.server)
    await lab.everywhere('userdel -r guest 2>/dev/null; true')
  })
})
