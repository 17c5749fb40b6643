import { expect, test } from 'vitest'
import { observeDrillState } from '../../src/engine/drill-state.ts'
import { fakeSession } from '../support/remote.ts'

const VIP = '198.51.100.200'
const look = (stdout: string) =>
  observeDrillState(fakeSession('srv-1', [{ when: /^drill_state$/, reply: () => ({ stdout }) }]), {
    vips: [VIP],
    units: ['haproxy'],
    trackers: ['/run/hactl/drain'],
    files: ['/etc/haproxy/haproxy.cfg'],
  })

test('a look gives the services, the watched addresses and files, the packet filter, and what drills left behind', async () => {
  const stdout = `unit haproxy active\naddress inet 127.0.0.1\naddress inet ${VIP}\nresidue hactl-undo-abcd.timer
tracker /run/hactl/drain 0\nfile /etc/haproxy/haproxy.cfg 0a1b\nfirewall ffee  -\nend\n`
  expect(await look(stdout)).toEqual({
    server: 'srv-1',
    units: { haproxy: 'active' },
    holds: [VIP],
    residue: ['hactl-undo-abcd.timer'],
    trackers: { '/run/hactl/drain': '0' },
    files: { '/etc/haproxy/haproxy.cfg': '0a1b' },
    firewall: 'ffee',
  })
})

test('an address that only begins like a watched one does not count', async () => {
  expect((await look('unit haproxy active\naddress inet 198.51.100.20\nend\n')).holds).toEqual([])
})

test('an answer that was cut off is an error, not an empty state', async () => {
  await expect(look('unit haproxy active\n')).rejects.toMatchObject({ code: 'E_PROBE_CUT', server: 'srv-1' })
})
