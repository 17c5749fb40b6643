/** What breaks a fast failover, and what mends it. Needs: any lab. Leaves: the fast profile, converged. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { expectExit, labInventory, openWorkspace, resultOf, type Workspace } from './support/hactl.ts'
import { openLab, pause, SERVERS, until, watchHolders } from './support/lab.ts'
import { startPoller } from './support/poller.ts'
import { ensureDeployed, trackers, untilHeldBy } from './support/servers.ts'

const lab = openLab()
let work: Workspace

beforeAll(async () => {
  work = openWorkspace(labInventory(lab))
  await ensureDeployed(lab, work)
})

beforeEach(() => untilHeldBy(lab, 'srv-1', 30_000))

afterAll(async () => {
  await ensureDeployed(lab, work)
  work.remove()
})

const AT_REST = ['drain 0', 'haproxy_down 0', 'haproxy_offset 0', 'keepalived_offset 0']
const CUT_IN_FLIGHT = /ECONNRESET|socket hang up/

async function expectAtRest(): Promise<void> {
  await until('every tracker says that all is well', 15_000, async () =>
    (await trackers(lab)).every(text => text.trim().split('\n').join() === AT_REST.join()),
  )
  const status = await work.hactl(['status', '--json'])
  expectExit(status, 0)
  expect(resultOf(status).servers?.map(server => [server.state, server.haproxy, server.drift, server.problems])).toEqual([
    ['MASTER', 'healthy', [], []],
    ['BACKUP', 'healthy', [], []],
    ['BACKUP', 'healthy', [], []],
  ])
}

const waitActive = (server: string, unit: string, limitMs = 30_000) =>
  until(`${unit} runs on ${server}`, limitMs, async () => (await lab.trySh(server, `systemctl is-active --quiet ${unit}`)).code === 0)

test('the holder reboots, and its haproxy is slow to start: the address comes home only when haproxy runs', async () => {
  await lab.sh(
    'srv-1',
    `mkdir -p /etc/systemd/system/haproxy.service.d; printf '[Service]\\nExecStartPre=/bin/sleep 4\\n' >/etc/systemd/system/haproxy.service.d/e2e-slow.conf; systemctl daemon-reload`,
  )
  const boot = await lab.sh('srv-1', 'cat /proc/sys/kernel/random/boot_id')
  const poller = await startPoller(lab.vip)
  await lab.trySh('srv-1', 'systemctl reboot')
  await until('srv-1 boots anew', 30_000, async () => {
    const now = await lab.trySh('srv-1', 'cat /proc/sys/kernel/random/boot_id')
    return now.code === 0 && now.stdout !== boot && now.stdout !== ''
  })
  await waitActive('srv-1', 'keepalived')
  expect(await lab.holders()).toEqual(['srv-2'])
  await waitActive('srv-1', 'haproxy')
  await untilHeldBy(lab, 'srv-1')
  await pause(500)
  const seen = await poller.stop()
  expect(seen.errors.filter(error => !CUT_IN_FLIGHT.test(error))).toEqual([])
  await lab.sh('srv-1', 'rm /etc/systemd/system/haproxy.service.d/e2e-slow.conf; systemctl daemon-reload')
  await expectAtRest()
  expect((await work.hactl(['plan', '--exit-code', '--quiet'])).exit).toBe(0)
})

test('/run/hactl is deleted: status says that keepalived hears nothing any more, deploy mends it', async () => {
  await lab.sh('srv-1', 'rm -rf /run/hactl')
  const status = await work.hactl(['status', '--json'])
  expect(resultOf(status).servers?.[0]?.problems.join()).toMatch(/track files .* missing/)
  const plan = await work.hactl(['plan', '--exit-code', '--json'])
  expectExit(plan, 2)
  expect(resultOf(plan).servers?.map(server => server.changed.length > 0)).toEqual([true, false, false])
  const poller = await startPoller(lab.vip)
  expectExit(await work.hactl(['deploy', '--yes', '--json']), 0)
  expect(await poller.stop()).toMatchObject({ failed: 0, errors: [] })
  await expectAtRest()
  // What deploy mended works: a planned stop is heard again.
  const again = await startPoller(lab.vip)
  await lab.sh('srv-1', 'systemctl stop haproxy')
  await untilHeldBy(lab, 'srv-2')
  await lab.sh('srv-1', 'systemctl start haproxy')
  await untilHeldBy(lab, 'srv-1')
  const seen = await again.stop()
  expect(seen.errors.filter(error => !CUT_IN_FLIGHT.test(error))).toEqual([])
})

test('/run/hactl is deleted and made again with the same contents: status sees the dead watch, deploy mends it', async () => {
  await lab.sh('srv-1', 'cp -a /run/hactl /run/hactl.copy && rm -rf /run/hactl && mv /run/hactl.copy /run/hactl')
  const status = await work.hactl(['status', '--json'])
  expect(resultOf(status).servers?.[0]?.problems.join()).toMatch(/watch/)
  expectExit(await work.hactl(['deploy', '--yes', '--json']), 0)
  await expectAtRest()
  const poller = await startPoller(lab.vip)
  await lab.sh('srv-1', 'systemctl stop haproxy')
  await untilHeldBy(lab, 'srv-2')
  await lab.sh('srv-1', 'systemctl start haproxy')
  await untilHeldBy(lab, 'srv-1')
  const seen = await poller.stop()
  expect(seen.errors.filter(error => !CUT_IN_FLIGHT.test(error))).toEqual([])
})

test('hooks that fail keep haproxy neither from stopping nor from starting', async () => {
  await lab.sh('srv-3', 'rm -rf /run/hactl && touch /run/hactl')
  await lab.sh('srv-3', 'systemctl stop haproxy && ! systemctl is-active --quiet haproxy')
  await lab.sh('srv-3', 'systemctl start haproxy && systemctl is-active --quiet haproxy')
  await lab.sh('srv-3', 'systemctl restart keepalived && systemctl is-active --quiet keepalived')
  await lab.sh('srv-3', 'rm /run/hactl && systemd-tmpfiles --create /etc/tmpfiles.d/hactl.conf')
  expectExit(await work.hactl(['deploy', '--yes', '--json']), 0)
  await expectAtRest()
})

test("an operator's drain survives a restart of haproxy", async () => {
  const poller = await startPoller(lab.vip)
  await lab.sh('srv-1', 'echo -253 >/run/hactl/.e2e && mv /run/hactl/.e2e /run/hactl/drain')
  await untilHeldBy(lab, 'srv-2')
  await lab.sh('srv-1', 'systemctl restart haproxy')
  await pause(3000)
  expect(await lab.holders()).toEqual(['srv-2'])
  expect(await lab.sh('srv-1', 'cat /run/hactl/drain')).toBe('-253\n')
  await lab.sh('srv-1', 'echo 0 >/run/hactl/.e2e && mv /run/hactl/.e2e /run/hactl/drain')
  await untilHeldBy(lab, 'srv-1')
  const seen = await poller.stop()
  expect(seen.errors.filter(error => !CUT_IN_FLIGHT.test(error))).toEqual([])
  await expectAtRest()
})

test('haproxy is killed again and again: the service comes back each time, and the address does not flap', async () => {
  const [holders, poller] = [await watchHolders(lab), await startPoller(lab.vip)]
  for (let kill = 0; kill < 6; kill++) {
    await lab.sh('srv-1', 'kill -KILL $(systemctl show -p MainPID --value haproxy)')
    await pause(1200)
    await waitActive('srv-1', 'haproxy')
  }
  // It goes home once haproxy has been stable for a while.
  await untilHeldBy(lab, 'srv-1', 30_000)
  const [held, seen] = [await holders.stop(), await poller.stop()]
  expect(held.moves.filter(move => move.endsWith(' has it')).length).toBeLessThanOrEqual(3)
  expect(held.twoHoldersMs).toBeLessThan(1000)
  expect(seen.outageMs).toBeLessThan(3000)
  await expectAtRest()
})

test('haproxy hangs: another server takes over, and gives the address back when it answers again', async () => {
  await lab.sh('srv-1', 'systemctl kill --signal=STOP haproxy')
  await untilHeldBy(lab, 'srv-2')
  const poller = await startPoller(lab.vip)
  await lab.sh('srv-1', 'systemctl kill --signal=CONT haproxy')
  await untilHeldBy(lab, 'srv-1')
  await pause(500)
  const seen = await poller.stop()
  expect(seen.errors.filter(error => !CUT_IN_FLIGHT.test(error))).toEqual([])
  await expectAtRest()
})

test('keepalived is killed with all its children: it runs again, and no stale address stays behind', async () => {
  const holders = await watchHolders(lab)
  await lab.sh('srv-1', 'pkill -KILL -x keepalived')
  await until(
    'another keepalived runs',
    20_000,
    async () => (await lab.trySh('srv-1', 'systemctl is-active --quiet keepalived')).code === 0,
  )
  await untilHeldBy(lab, 'srv-1')
  await pause(1500)
  expect(await lab.holders()).toEqual(['srv-1'])
  const held = await holders.stop()
  // A killed keepalived leaves its address behind until systemd has started the next one.
  expect(held.twoHoldersMs).toBeLessThan(5000)
  expect(SERVERS).toContain('srv-1')
  await expectAtRest()
})
