/**
 * Open connections to an IPv4 and an IPv6 address on a VLAN over a bond, then on a bridge of a VLAN, while servers are drained and the interface is
 * made anew. Runs where it is asked for (scripts/test-kernel.ts). Needs: any lab. Leaves: eth2 and eth3 unused, a lab to be reset.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectExit, labHaproxy } from '../e2e/support/hactl.ts'
import { SERVERS, until } from '../e2e/support/lab.ts'
import { workspaceFor } from '../e2e/support/opening.ts'
import { ensureDeployedSlowly, hactlOn, onVlan, openKernelLab, patientInventory, timed } from './support/kernel-lab.ts'
import { CLIENTS, nothingLost, serviceStatus, untilArmed, untold, whileOpen } from './support/open-connections.ts'

const lab = openKernelLab()
const { vip, vip6 } = lab.vlan
const work = workspaceFor(lab, patientInventory(lab))
const hactl = hactlOn(work)

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
/** keepalived 2.2.7 hears nothing any more on an interface that was made anew (evidence K17). */
const restartKeepalived = (server: string) => lab.sh(server, 'systemctl restart keepalived')

afterAll(() => Promise.all(SERVERS.map(server => lab.wire(server, 'plain'))))

const WIRINGS = [
  { how: 'bond-vlan', wired: 'a VLAN over a bond' },
  { how: 'vlan-bridge', wired: 'a bridge of a VLAN' },
] as const

describe.each(WIRINGS)('on $wired', ({ how, wired }) => {
  const { device, servers } = onVlan(lab, how)
  /** As a tool that sets up the network again does: the interface has another index, and the kernel's defaults (evidence O13). */
  const makeAnew = async (server: string) => {
    await lab.sh(server, `ip link del ${device} && grep -F ${device} /etc/lab/wire | sh -eu`)
    await untilArmed(lab, instances.length, [server])
    const settings = `cd /proc/sys/net/ipv4/conf/${device} && cat arp_ignore arp_announce`
    await until(`${server} does not answer for what it has given away`, 30_000, async () => (await lab.sh(server, settings)) === '1\n2\n')
  }

  beforeAll(async () => {
    // Its addresses go back to the first network before the interface is taken from under them.
    work.writeInventory(patientInventory(lab))
    await ensureDeployedSlowly(lab, work)
    await Promise.all(SERVERS.map(server => lab.wire(server, how)))
    work.writeInventory(patientInventory(lab, { servers, haproxy: labHaproxy(lab, { frontends }), vrrp_instances: instances }))
    expectExit(await timed(`deploy of an IPv4 and an IPv6 address on ${wired}`, () => hactl('deploy')), 0)
    await untilHeld('srv-1')
    await untilArmed(lab, instances.length)
  })

  test('the holder is drained, and its interface made anew while it keeps them: the move cuts none, and no client is left in silence', async () => {
    const later = await whileOpen(`${device} made anew on the server that keeps them`, addresses, async () => {
      const moved = await whileOpen(`a drain, on ${wired}`, addresses, async () => {
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

  test('the interface is made anew on the holder: the same, and it has its address back', async () => {
    await untilHeld('srv-2')
    const seen = await whileOpen(`${device} made anew on the holder`, addresses, async () => {
      await makeAnew('srv-2')
      await until('one server holds each address', 60_000, async () => (await isHeldBy('srv-3')) || (await isHeldBy('srv-2')))
      await restartKeepalived('srv-2')
      await untilHeld('srv-2')
    })
    expect(untold(seen)).toEqual([])
  })

  test('srv-1 is undrained, and the addresses move between these two: none is cut', async () => {
    await untilArmed(lab, instances.length)
    const seen = await whileOpen(`a move between servers whose ${device} was made anew`, addresses, async () => {
      expectExit(await hactl('undrain', 'srv-1'), 0)
      await untilHeld('srv-1')
      expect(await serviceStatus(lab, 'srv-2')).toEqual(expect.arrayContaining(instances.map(({ name }) => `instance ${name} kept`)))
    })
    expect(seen).toMatchObject(nothingLost(addresses.length))
  })
})
