/** Every drill on the fast profile, and that nothing survives any of them. Needs: any lab. Leaves: the fast profile, converged. */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { shippedDrills } from '../../src/app/drills.ts'
import { type DrillLine, expectExit, expectRefusal, resultOf, type Run } from './support/hactl.ts'
import { untilProvenOn } from './support/kept.ts'
import { openLab, until } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { liveFiles, residue, services, trackers, untilHeldBy } from './support/servers.ts'

/** These tests are about what happens. The benchmark measures how fast it is. */
const PATIENT = ['--yes', '--json', '--max-outage', '8s']

const DESTRUCTIVE = ['reboot', 'server-dead']
const SHIPPED = shippedDrills(readdirSync(new URL('../../playbooks/drills/', import.meta.url))).map(({ name }) => name)
const HARMLESS = SHIPPED.filter(name => !DESTRUCTIVE.includes(name))

const lab = openLab()
const work = deployedWorkspace(lab, { restores: true })

const verify = (...argv: string[]) => work.hactl(['verify-failover', ...PATIENT, ...argv], { limitMs: 400_000 })
const drillsOf = (run: Run): readonly DrillLine[] => resultOf(run).drills ?? []

/** Everything that a drill must leave as it was, except the processes themselves. */
async function standing(): Promise<unknown> {
  const rules = await lab.everywhere('nft -s -t list ruleset 2>/dev/null')
  const stopped = await lab.everywhere("grep -l '^State:.T' /proc/[0-9]*/status 2>/dev/null || true")
  const active = await lab.everywhere('systemctl is-active haproxy keepalived')
  const locks = await lab.everywhere('ls -d /var/lib/hactl/lock /run/hactl-booting 2>/dev/null || true')
  return { rules, stopped, active, locks, files: await liveFiles(lab), trackers: await trackers(lab), residue: await residue(lab) }
}

async function expectAsBefore(before: unknown): Promise<void> {
  await untilHeldBy(lab, 'srv-1')
  expect(await standing()).toEqual(before)
}

test('--all runs every drill that kills no server, announces each with what it expects, and leaves nothing behind', {
  timeout: 420_000,
}, async () => {
  await untilHeldBy(lab, 'srv-1')
  await untilProvenOn(lab)
  const before = await standing()
  const run = await verify('--all')
  const drills = drillsOf(run)
  expect(drills.map(drill => drill.drill)).toEqual(HARMLESS)
  const announced = run.lines.filter(line => line.event === 'drill-announced')
  expect(announced.map(line => line.drill)).toEqual(HARMLESS)
  for (const line of announced) expect(line.expects).toMatch(/\S/)
  expect(drills.map(({ drill, verdict, reasons }) => ({ drill, verdict, reasons }))).toEqual(
    HARMLESS.map(drill => ({ drill, verdict: 'passed', reasons: [] })),
  )
  expectExit(run, 0)
  const seen = new Map(drills.map(drill => [drill.drill, drill]))
  for (const drill of ['partition', 'partition-in', 'partition-out', 'keepalived-hang', 'link-down']) {
    expect(seen.get(drill)?.holders_max).toBe(2)
  }
  expect(seen.get('cascade')).toMatchObject({ to: 'srv-3', failback: 'srv-1' })
  expect(seen.get('reload-under-load')).toMatchObject({ failed_probes: 0, to: null })
  for (const planned of ['reload-under-load', 'haproxy-stop', 'haproxy-restart', 'keepalived-stop']) {
    expect(seen.get(planned)).toMatchObject({ drill: planned, connections_promised: true, connections_cut: 0 })
    expect(seen.get(planned)?.connections).toBeGreaterThanOrEqual(4)
  }
  // Who has asked a server that is cut off gets no answer from it: a reset from the next one, or none.
  const cutOff = seen.get('link-down')
  expect(cutOff).toMatchObject({ connections_promised: false })
  expect(cutOff?.connections_cut).toBeGreaterThan(0)
  expect(cutOff?.notes?.join('\n')).toMatch(/long-lived connections? (?:was|were) cut .*, as predicted$/m)
  await expectAsBefore(before)
})

test('a server that reboots or dies, with --destructive only, comes back with all its services', { timeout: 240_000 }, async () => {
  expectRefusal(await verify('--drill', 'reboot'), 3, 'E_USAGE', { what: /reboot/, fix: /--destructive/ })
  await untilHeldBy(lab, 'srv-1')
  const run = await verify('--drill', 'reboot', '--drill', 'server-dead', '--destructive')
  expect(drillsOf(run).map(({ drill, verdict, reasons }) => ({ drill, verdict, reasons }))).toEqual([
    { drill: 'reboot', verdict: 'passed', reasons: [] },
    { drill: 'server-dead', verdict: 'passed', reasons: [] },
  ])
  await untilHeldBy(lab, 'srv-1')
  expect(await lab.everywhere('systemctl is-active haproxy keepalived')).toEqual([
    'active\nactive\n',
    'active\nactive\n',
    'active\nactive\n',
  ])
  expect(await residue(lab)).toBe('')
})

test('a drill that cuts SSH as well is undone by the server itself, and the probes of two places are distinguished', {
  timeout: 180_000,
}, async () => {
  const file = work.write(
    'cut.yml',
    'drill: cut\nversion: 1\ntitle: The holder is cut off, SSH with it\ndisturb: drop-link-and-ssh\non: holder\n' +
      'expect: { taker: next, holders: either, event: server-dead, heals_ms: 2000 }\ndestructive: false\n',
  )
  await untilHeldBy(lab, 'srv-1')
  const before = await standing()
  const run = await verify('--drill', file, '--from', 'controller', '--from', 'srv-3')
  expectExit(run, 0)
  const [drill] = drillsOf(run)
  expect(drill).toMatchObject({ verdict: 'passed', from: 'srv-1', to: 'srv-2', failback: 'srv-1', restored: true })
  expect(drill?.origins?.map(origin => origin.from).toSorted()).toEqual(['controller', 'srv-3'])
  await expectAsBefore(before)
})

describe('when something else happens meanwhile', () => {
  test('a controller that is killed during a drill: the server undoes the drill itself, and the next drill finds a free lock', {
    timeout: 120_000,
  }, async () => {
    await untilHeldBy(lab, 'srv-1')
    const before = await standing()
    const running = work.start(['verify-failover', '--yes', '--json', '--drill', 'partition'])
    const isCut = async () => (await lab.sh('srv-1', 'nft list tables')).includes('hactl_drill')
    await until('VRRP is cut', 30_000, isCut)
    running.signal('SIGKILL')
    expect((await running.ended).exit).toBe(137)
    expect(await isCut()).toBe(true)
    await until('the timer has fired', 40_000, async () => !(await isCut()))
    // The lock of a dead run is free after 25 s; a deploy takes it over and leaves none.
    await until('the lock is free', 40_000, async () => (await work.hactl(['unlock', '--yes', '--json'])).exit === 0)
    await expectAsBefore(before)
  })

  test("another server's haproxy dies: the drill ends at once with its undo, exit 8 names the command", async () => {
    await untilHeldBy(lab, 'srv-1')
    const running = work.start(['verify-failover', '--json', '--drill', 'partition', '--drill', 'haproxy-stop', ...PATIENT])
    await running.line('disturbed', line => line.event === 'drill-disturbed')
    await lab.sh('srv-3', 'systemctl stop haproxy')
    const run = await running.ended
    await lab.sh('srv-3', 'systemctl start haproxy')
    expectExit(run, 8)
    const drills = drillsOf(run)
    expect(drills.map(drill => drill.drill)).toEqual(['partition'])
    const reasons = drills[0]?.reasons?.join('\n')
    expect(reasons).toContain('the drill was stopped: haproxy on srv-3 is inactive')
    expect(reasons).toContain('systemctl start haproxy')
    expect(await lab.sh('srv-1', 'nft list tables')).not.toContain('hactl_drill')
    expect(await residue(lab)).toBe('')
  })

  test('a second run is refused while the first one drills', async () => {
    await untilHeldBy(lab, 'srv-1')
    const first = work.start(['verify-failover', '--json', ...PATIENT])
    await first.line('disturbed', line => line.event === 'drill-disturbed')
    const before = await services(lab)
    const second = await work.hactl(['verify-failover', '--json', ...PATIENT])
    expect(second.exit).toBe(5)
    expect(await first.ended).toMatchObject({ exit: 0 })
    expect(before.slice(1)).toEqual((await services(lab)).slice(1))
  })
})

describe('where a drill cannot be run', () => {
  test('without a packet filter it is refused with what to install, and the other drills are run', async () => {
    await untilHeldBy(lab, 'srv-1')
    const tools = '/usr/sbin/nft /usr/sbin/iptables'
    await lab.sh('srv-1', `for t in ${tools}; do [ -e $t ] && mv $t $t.away; done; true`)
    const run = await verify('--drill', 'partition', '--drill', 'haproxy-stop')
    await lab.sh('srv-1', `for t in ${tools}; do [ -e $t.away ] && mv $t.away $t; done; true`)
    expectExit(run, 5)
    const drills = drillsOf(run)
    expect(drills.map(({ drill, verdict }) => `${drill} ${verdict}`)).toEqual(['partition refused', 'haproxy-stop passed'])
    expect(drills[0]?.reasons?.join('\n')).toContain('apt-get install nftables')
  })

  test('an unknown name is answered with the nearest one', async () => {
    expectRefusal(await verify('--drill', 'haproxy-stopp'), 3, 'E_USAGE', { what: /haproxy-stopp/, fix: /did you mean haproxy-stop\?/ })
  })
})
