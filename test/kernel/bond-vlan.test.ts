/**
 * A virtual address on a VLAN over a bond of two cards, with ssh and VRRP there, too, and an IPv6 address with open connections to both; then a
 * VLAN, a bond and a bridge alone. Needs: any lab. Leaves: eth2 and eth3 unused, a lab to be reset.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectExit, type Json, labHaproxy } from '../e2e/support/hactl.ts'
import { local, pause, SERVERS, until, watchHolders } from '../e2e/support/lab.ts'
import { workspaceFor } from '../e2e/support/opening.ts'
import { startPoller } from '../e2e/support/poller.ts'
import {
  ensureDeployedSlowly,
  expectConverged,
  hactlOn,
  MAX_OUTAGE,
  noteFigure,
  openKernelLab,
  passedDrill,
  patientInventory,
  patientVrrp,
  timed,
} from './support/kernel-lab.ts'
import { CLIENTS, nothingLost, serviceStatus, untilArmed, untold, whileOpen } from './support/open-connections.ts'

const lab = openKernelLab()
const { vip, vip6 } = lab.vlan
const device = `bond0.${lab.vlan.id}`
const servers = SERVERS.map(name => ({ name, host: `${lab.vlan.prefix}.1${name.replace('srv-', '')}` }))
const inventory: Json = patientInventory(lab, { servers, ...patientVrrp(lab, { virtual_ipaddress: [`${vip}/24`] }) })
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

describe('open connections to an IPv4 and an IPv6 address', () => {
  const addresses = [`${vip}:80`, `${vip}:8092`, `[${vip6}]:80`, `[${vip6}]:8092`]
  const frontends = [
    { name: 'web', bind: [':80', ':::80 v6only'], mode: 'http', default_backend: 'app' },
    { name: 'named', bind: [`${vip}:8092`, `[${vip6}]:8092`], mode: 'http', default_backend: 'app' },
  ]
  const instances = [
    { name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: [`${vip}/24`], advert_int: 2 },
    { name: 'VRRP6', virtual_router_id: 67, virtual_ipaddress: [`${vip6}/64`], advert_int: 2 },
  ]
  const isHeldBy = async (server: string) => (await lab.holders(vip)).join() === server && (await lab.holders(vip6)).join() === server
  const untilHeld = (server: string) => until(`${server} alone holds both addresses`, 60_000, () => isHeldBy(server))
  /** As a tool that sets up the network again does: the interface has another index, and the kernel's defaults (evidence O13). */
  const makeAnew = async (server: string) => {
    await lab.sh(server, `ip link del ${device} && grep -F ${device} /etc/lab/wire | sh -eu`)
    await untilArmed(lab, instances.length, [server])
    const settings = `cd /proc/sys/net/ipv4/conf/${device} && cat arp_ignore arp_announce`
    await until(`${server} does not answer for what it has given away`, 30_000, async () => (await lab.sh(server, settings)) === '1\n2\n')
  }
  /** keepalived 2.2.7 hears nothing any more on an interface that was made anew (evidence K17). */
  const restartKeepalived = (server: string) => lab.sh(server, 'systemctl restart keepalived')

  beforeAll(async () => {
    work.writeInventory(patientInventory(lab, { servers, haproxy: labHaproxy(lab, { frontends }), vrrp_instances: instances }))
    expectExit(await timed('deploy of an IPv6 address beside it', () => hactl('deploy')), 0)
    await untilHeld('srv-1')
    await untilArmed(lab, instances.length)
  })

  test('the holder is drained, and its VLAN made anew while it keeps them: the move cuts none, and no client is left in silence', async () => {
    const later = await whileOpen('the VLAN made anew on the server that keeps them', addresses, async () => {
      const moved = await whileOpen('a drain, on a VLAN over a bond', addresses, async () => {
        expectExit(await hactl('drain', 'srv-1'), 0)
        await untilHeld('srv-2')
        const kept = instances.flatMap(({ name }) => [`instance ${name} kept`, `open ${name} 8092 ${2 * CLIENTS}`])
        expect(await serviceStatus(lab, 'srv-1')).toEqual(expect.arrayContaining(kept))
      })
      expect(moved).toMatchObject(nothingLost(addresses.length))
      await makeAnew('srv-1')
      await restartKeepalived('srv-1')
    })
    expect(untold(later)).toEqual([])
  })

  test('the VLAN is made anew on the holder: the same, and it has its address back', async () => {
    await untilHeld('srv-2')
    const seen = await whileOpen('the VLAN made anew on the holder', addresses, async () => {
      await makeAnew('srv-2')
      await until('one server holds each address', 60_000, async () => (await isHeldBy('srv-3')) || (await isHeldBy('srv-2')))
      await restartKeepalived('srv-2')
      await untilHeld('srv-2')
    })
    expect(untold(seen)).toEqual([])
  })

  test('srv-1 is undrained, and the addresses move between these two: none is cut', async () => {
    await untilArmed(lab, instances.length)
    const seen = await whileOpen('a move between servers whose VLAN was made anew', addresses, async () => {
      expectExit(await hactl('undrain', 'srv-1'), 0)
      await untilHeld('srv-1')
      expect(await serviceStatus(lab, 'srv-2')).toEqual(expect.arrayContaining(instances.map(({ name }) => `instance ${name} kept`)))
    })
    expect(seen).toMatchObject(nothingLost(addresses.length))
  })
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
