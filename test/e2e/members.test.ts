/** Servers that join, die, are replaced and leave, under a poller. Needs: nothing; resets the lab. Leaves: two servers deployed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectExit, expectRefusal, type Json, labHaproxy, labInventory, resultOf, type Run, vrrpInstance } from './support/hactl.ts'
import { openLab, pause, until, watchHolders } from './support/lab.ts'
import { freshWorkspace } from './support/opening.ts'
import { startPoller } from './support/poller.ts'
import { untilHeldBy } from './support/servers.ts'

const lab = openLab()
const ALL = lab.servers.map(({ name, host }) => ({ name, host }))
const TWO = ALL.slice(0, 2)
const CHANGED = labHaproxy(lab, { defaults: ['timeout client 50s'] })

/**
 * Slower than the default: these tests are about which servers know each other, and a busy machine must not move the address by itself.
 * A server that hears no adverts still takes the address, a little more than 1.5 s later.
 */
const inventory = (over: Json = {}) =>
  labInventory(lab, {
    vrrp_script: { interval: 3, timeout: 3, fall: 3 },
    vrrp_instances: [vrrpInstance(lab, { advert_int: 0.5 })],
    ...over,
  })
const work = freshWorkspace(lab, inventory({ servers: TWO }))

beforeAll(async () => {
  expectExit(await work.hactl(['deploy', '--yes', '--json']), 0)
})

afterAll(() => lab.heal())

/** Runs hactl under a poller, with the holders watched. Throws where a probe was lost or two servers held the address for a second. */
async function unnoticed(...argv: readonly string[]): Promise<Run> {
  const [holders, poller] = [await watchHolders(lab), await startPoller(lab.vip)]
  const run = await work.hactl([...argv, '--yes', '--json'])
  // Long enough for a server that hears no adverts to take the address.
  await pause(2500)
  const [seen, held] = [await poller.stop(), await holders.stop()]
  if (seen.failed > 0 || held.twoHoldersMs > 1000)
    throw new Error(`noticed: ${JSON.stringify({ seen, held })}\n${run.stdout.slice(-3000)}\n${run.stderr.slice(-1000)}`)
  return run
}

const waves = (run: Run) => run.lines.flatMap(line => (line.event === 'wave-started' ? [line.servers] : []))
const unitsOf = (server: string) =>
  lab.trySh(server, 'systemctl is-active haproxy keepalived').then(({ stdout }) => stdout.trim().split('\n'))

describe('a third server', () => {
  test('is refused where --limit would let it join alone: its peers do not know it', async () => {
    work.writeInventory(inventory())
    const run = await work.hactl(['deploy', '--yes', '--json', '--limit', 'srv-3'])
    expectRefusal(run, 5, 'E_UNKNOWN_TO_PEERS', { why: /srv-1 does not know srv-3/, fix: /--limit/ })
    expect(await unitsOf('srv-3')).toEqual(['inactive', 'inactive'])
  })

  test('joins once the others know it: no client notices, and no second server holds the address', { timeout: 240_000 }, async () => {
    const run = await unnoticed('deploy')
    expectExit(run, 0)
    expect(waves(run)).toEqual([['srv-1', 'srv-2'], ['srv-3']])
    expect(resultOf(run).holder).toEqual({ [lab.vip]: 'srv-1' })
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })
})

describe('while a server is dead', () => {
  test('a deploy is refused, and with --limit to the others no client notices it', async () => {
    await lab.docker('kill', lab.container('srv-3'))
    work.writeInventory(inventory({ haproxy: CHANGED }))
    expect((await work.hactl(['deploy', '--yes', '--json', '--timeout', '3'])).exit).toBe(4)
    const run = await unnoticed('deploy', '--limit', 'srv-1,srv-2')
    expectExit(run, 0)
    expect(resultOf(run).servers?.map(({ name, changed }) => [name, changed])).toEqual(
      ['srv-2', 'srv-1'].toSorted().map(name => [name, ['file/haproxy.cfg', 'service/haproxy']]),
    )
  })

  test('it comes back with its old files, is shown as different, and is brought up to date', async () => {
    await lab.docker('start', lab.container('srv-3'))
    await until('srv-3 runs again', 30_000, async () => (await unitsOf('srv-3')).join() === 'active,active')
    await until('sshd answers', 10_000, async () => (await work.hactl(['status', '--json', '--limit', 'srv-3'])).exit !== 4)
    const status = resultOf(await work.hactl(['status', '--json']))
    expect(status.servers?.map(({ name, drift }) => [name, drift])).toEqual([
      ['srv-1', []],
      ['srv-2', []],
      ['srv-3', ['file/haproxy.cfg', 'service/haproxy']],
    ])
    const run = await unnoticed('deploy')
    expectExit(run, 0)
    expect(waves(run)).toEqual([['srv-3']])
  })
})

test('a bare machine takes the place of the one that it replaces', { timeout: 240_000 }, async () => {
  // As after a new installation: nothing of hactl's, no packages, no configuration.
  await lab.sh(
    'srv-3',
    `systemctl kill -s KILL keepalived haproxy; systemctl stop keepalived haproxy; ip addr flush dev eth0 to ${lab.vip}
     apt-get purge -y -q haproxy keepalived >/dev/null 2>&1
     rm -rf /etc/haproxy /etc/keepalived /var/lib/hactl /run/hactl /etc/systemd/system/*.service.d /etc/sysctl.d/90-hactl.conf /etc/tmpfiles.d/hactl* /usr/local/bin/haproxy-service-check.sh
     systemctl daemon-reload`,
  )
  const run = await unnoticed('deploy')
  expectExit(run, 0)
  expect(waves(run)).toEqual([['srv-3']])
  expect(await unitsOf('srv-3')).toEqual(['active', 'active'])
})

describe('a server that left the inventory', () => {
  test('is noticed: plan and status name it, and a deploy stops before it becomes a second master', async () => {
    work.writeInventory(inventory({ servers: TWO, haproxy: CHANGED }))
    const plan = await work.hactl(['plan', '--json'])
    expectExit(plan, 0)
    expect(JSON.stringify(resultOf(plan))).toContain('hactl remove --limit srv-3')
    expect(resultOf(await work.hactl(['status', '--json'])).problems?.join()).toMatch(/srv-3 .*was a member/)
    const run = await unnoticed('deploy')
    expectRefusal(run, 5, 'E_FORMER_MEMBER', { what: /srv-3/, fix: /hactl remove --limit srv-3 .*--forget srv-3/ })
    expect(await lab.holders()).toEqual(['srv-1'])
  })

  test('is removed first, and then no longer mentioned', { timeout: 240_000 }, async () => {
    work.writeInventory(inventory({ haproxy: CHANGED }))
    const removed = await unnoticed('remove', '--limit', 'srv-3')
    expectExit(removed, 0)
    expect(removed.stderr).not.toContain('no server will hold')
    work.writeInventory(inventory({ servers: TWO, haproxy: CHANGED }))
    const deployed = await unnoticed('deploy')
    expectExit(deployed, 0)
    expect(waves(deployed)).toEqual([['srv-1', 'srv-2']])
    expect(await unitsOf('srv-3')).toEqual(['inactive', 'inactive'])
    await untilHeldBy(lab, 'srv-1')
    expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
  })
})
