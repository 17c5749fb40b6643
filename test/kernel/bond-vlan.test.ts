/**
 * A virtual address on a VLAN over a bond of two cards, with ssh and VRRP there, too; then a VLAN, a bond and a bridge alone. Needs: any lab.
 * Leaves: eth2 and eth3 unused, a lab to be reset.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectExit } from '../e2e/support/hactl.ts'
import { local, pause, SERVERS, until, watchHolders } from '../e2e/support/lab.ts'
import { workspaceFor } from '../e2e/support/opening.ts'
import { startPoller } from '../e2e/support/poller.ts'
import {
  ensureDeployedSlowly,
  expectConverged,
  hactlOn,
  MAX_OUTAGE,
  noteFigure,
  onVlan,
  openKernelLab,
  passedDrill,
  patientInventory,
  patientVrrp,
  timed,
} from './support/kernel-lab.ts'

const lab = openKernelLab()
const { vip } = lab.vlan
const { device, servers } = onVlan(lab, 'bond-vlan')
const inventory = patientInventory(lab, { servers, ...patientVrrp(lab, { virtual_ipaddress: [`${vip}/24`] }) })
const work = workspaceFor(lab, patientInventory(lab))
const hactl = hactlOn(work)

beforeAll(async () => {
  await ensureDeployedSlowly(lab, work)
  await Promise.all(SERVERS.map(server => lab.wire(server, 'bond-vlan')))
  work.writeInventory(inventory)
})

afterAll(async () => {
  await lab.heal()
  await Promise.all(SERVERS.map(server => lab.wire(server, 'plain')))
})

test('it is deployed there, and a drill moves it', async () => {
  expectExit(await timed('deploy of an address on a VLAN over a bond', () => hactl('deploy')), 0)
  await expectConverged(lab, work, vip)
  expect(await lab.sh('srv-1', `ip -o addr show to ${vip}`)).toContain(` ${device} `)
  const run = await hactl('verify-failover', '--drill', 'keepalived-stop', ...MAX_OUTAGE)
  expect(passedDrill(run)).toMatchObject({ from: 'srv-1', to: 'srv-2', failback: 'srv-1' })
})

test('one port of the bond is cut, then the other: the address does not move; both: it does, and comes back', async () => {
  await expectConverged(lab, work, vip)
  const [holders, poller] = [await watchHolders(lab, vip), await startPoller(vip, 3000)]
  const active = () => lab.sh('srv-1', 'cat /sys/class/net/bond0/bonding/active_slave')
  const [first, second] = (await active()) === 'eth2\n' ? ['eth2', 'eth3'] : ['eth3', 'eth2']
  for (const [cut, left] of [
    [first, second],
    [second, first],
  ] as const) {
    await lab.cutCard('srv-1', cut)
    await until(`the bond goes on with ${left}`, 30_000, async () => (await active()) === `${left}\n`)
    await pause(10_000)
    await lab.mendCard('srv-1', cut)
    await until(
      `${cut} is up again`,
      30_000,
      async () => (await lab.sh('srv-1', `cat /sys/class/net/bond0/lower_${cut}/carrier`)) === '1\n',
    )
  }
  const [held, seen] = [await holders.stop(), await poller.stop()]
  expect(held.moves).toEqual([])
  expect(seen.failed).toBeLessThan(seen.probes / 4)
  noteFigure(`one port of the bond cut, twice: at most ${seen.outageMs} ms without an answer, ${seen.failed} of ${seen.probes} probes lost`)

  // The same watch must see a move where there is one.
  const bothCut = await watchHolders(lab, vip)
  for (const card of ['eth2', 'eth3']) await lab.cutCard('srv-1', card)
  await until('srv-2 has it', 60_000, async () => (await lab.holders(vip)).includes('srv-2'))
  for (const card of ['eth2', 'eth3']) await lab.mendCard('srv-1', card)
  await expectConverged(lab, work, vip)
  expect((await bothCut.stop()).moves.join()).toContain('srv-2 has it')
})

test('the VLAN and its address are there again after a reboot, without hands', async () => {
  const run = await hactl('verify-failover', '--drill', 'reboot', '--destructive', ...MAX_OUTAGE)
  expect(passedDrill(run)).toMatchObject({ from: 'srv-1', to: 'srv-2', failback: 'srv-1' })
  await lab.powerOn(...SERVERS)
  await expectConverged(lab, work, vip)
})

const VLAN_DEVICE = `eth2.${lab.vlan.id}`
const WIRINGS = [
  { how: 'vlan', wired: VLAN_DEVICE, reachesController: true },
  { how: 'bond', wired: 'bond0', reachesController: false },
  { how: 'bridge', wired: 'br0', reachesController: false },
] as const

// The lab's last part by itself: it takes the interface from under the cluster that the tests before have deployed.
test.each(WIRINGS)('$how alone carries packets between two servers, and to the controller: $reachesController', async wiring => {
  const { how, wired, reachesController } = wiring
  const addressOf = (server: string) => `${lab.vlan.prefix}.1${server.replace('srv-', '')}`
  // sshd greets whoever connects: the servers have no ping.
  const greeting = (address: string) => `timeout 10 bash -c 'read -r line </dev/tcp/${address}/22 && echo "$line"'`
  await Promise.all(['srv-1', 'srv-2'].map(server => lab.wire(server, how)))
  for (const [from, to] of [
    ['srv-1', 'srv-2'],
    ['srv-2', 'srv-1'],
  ] as const) {
    const address = addressOf(to)
    expect(await lab.sh(from, `ip -o route get ${address}`)).toContain(` dev ${wired} `)
    await until(`${from} reaches ${to} through ${wired}`, 30_000, async () =>
      (await lab.trySh(from, greeting(address))).stdout.startsWith('SSH-2.0-'),
    )
  }
  const seen = await local('bash', ['-c', greeting(addressOf('srv-1'))])
  expect(seen.stdout.startsWith('SSH-2.0-')).toBe(reachesController)
})
