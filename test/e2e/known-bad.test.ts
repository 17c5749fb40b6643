/**
 * Clusters that look right and do not fail over, built by hand: hactl deployed none of their faults, and its drills must find them.
 * Needs: any lab. Leaves: the fast profile, converged.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type DrillLine, expectExit, labInventory, resultOf, vrrpInstance } from './support/hactl.ts'
import { type Lab, openLab, SERVERS } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { startPoller } from './support/poller.ts'
import { residue, services, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab, { restores: true })

beforeAll(async () => {
  work.writeInventory(
    labInventory(lab, { profile: 'classic', vrrp_instances: [vrrpInstance(lab, { virtual_ipaddress: [lab.vip], advert_int: 1 })] }),
  )
})

beforeEach(() => lab.everywhere('nft delete table inet by_hand 2>/dev/null; true'))

afterAll(() => lab.everywhere('nft delete table inet by_hand 2>/dev/null; true'))

interface Scheme {
  readonly priorities: readonly [number, number, number]
  readonly weight: number
  readonly nopreempt?: boolean
}

/** What somebody may have typed into /etc on each server. */
async function buildByHand(on: Lab, { priorities, weight, nopreempt = false }: Scheme): Promise<void> {
  await Promise.all(
    SERVERS.map((server, index) =>
      on.sh(
        server,
        `
rm -f /etc/systemd/system/haproxy.service.d/hactl.conf /etc/systemd/system/keepalived.service.d/hactl.conf
cat >/usr/local/bin/haproxy-service-check.sh <<'CHECK'
#!/bin/sh
pidof haproxy >/dev/null
CHECK
chmod 0755 /usr/local/bin/haproxy-service-check.sh
cat >/etc/keepalived/keepalived.conf <<'CONF'
global_defs {
    enable_script_security
    script_user root
}
vrrp_script chk_haproxy {
    script /usr/local/bin/haproxy-service-check.sh
    interval 1
    fall 2
    rise 2
    weight ${weight}
}
vrrp_instance VRRP1 {
    state BACKUP
    interface eth0
    virtual_router_id 66
    priority ${priorities[index] ?? 0}
    advert_int 1
    ${nopreempt ? 'nopreempt' : ''}
    virtual_ipaddress {
        ${on.vip}/32
    }
    track_script {
        chk_haproxy
    }
}
CONF
systemctl daemon-reload
systemctl stop keepalived
systemctl restart haproxy`,
      ),
    ),
  )
  // Backups that do not preempt leave the address to the first server that starts.
  await on.sh('srv-1', 'systemctl start keepalived')
  await untilHeldBy(on, 'srv-1', 30_000)
  await Promise.all(['srv-2', 'srv-3'].map(server => on.sh(server, 'systemctl start keepalived && sleep 3')))
}

async function failedDrill(...argv: string[]): Promise<DrillLine & { readonly said: string }> {
  const run = await work.hactl(['verify-failover', '--yes', '--json', ...argv])
  expectExit(run, 7)
  const [drill] = resultOf(run).drills ?? []
  if (drill === undefined) throw new Error(`no drill in:\n${run.stdout}`)
  expect(drill).toMatchObject({ verdict: 'failed', restored: true })
  expect(await residue(lab)).toBe('')
  return { ...drill, said: drill.reasons?.join('\n') ?? '' }
}

test('priorities 152 and 101 with a weight of 3: haproxy stops, and the address stays on that server', async () => {
  await buildByHand(lab, { priorities: [152, 101, 100], weight: 3 })
  const drill = await failedDrill()
  expect(drill).toMatchObject({ from: 'srv-1', to: null, outage_ms: null })
  expect(drill.said).toContain('the weight is too small: srv-1 drops from 155 to 152, and the best of the others, srv-2, has only 104')
})

test('nopreempt with a weight: the backups have the higher priority and do not take over', async () => {
  await buildByHand(lab, { priorities: [100, 99, 98], weight: 5, nopreempt: true })
  const drill = await failedDrill()
  expect(drill).toMatchObject({ from: 'srv-1', to: null })
  expect(drill.said).toMatch(/srv-2 has priority 104, more than srv-1 with 100, but nopreempt/)
})

test('a check that looks for the process: haproxy hangs, and only the clients notice', async () => {
  await buildByHand(lab, { priorities: [100, 99, 98], weight: 5 })
  const drill = await failedDrill('--drill', 'haproxy-hang')
  expect(drill).toMatchObject({ from: 'srv-1', to: null })
  expect(drill.said).toContain('keepalived on srv-1 has not noticed')
})

test('a firewall that lets no VRRP out of the next server: two servers take over at once, and no probe is lost', async () => {
  await buildByHand(lab, { priorities: [100, 99, 98], weight: 5 })
  await lab.sh('srv-2', "nft 'table inet by_hand { chain out { type filter hook output priority 0; meta l4proto 112 drop; }; }'")
  const drill = await failedDrill('--drill', 'keepalived-stop')
  expect(drill.holders_max).toBe(2)
  expect(drill.said).toMatch(/more than one server held .* for \d+ ms/)
})

test('a firewall that lets no VRRP through at all: two are master, clients notice nothing, and the drill has failed before it disturbs anything', async () => {
  await buildByHand(lab, { priorities: [100, 99, 98], weight: 5 })
  await lab.sh(
    'srv-1',
    "nft 'table inet by_hand { chain in { type filter hook input priority 0; meta l4proto 112 drop; }; chain out { type filter hook output priority 0; meta l4proto 112 drop; }; }'",
  )
  await new Promise(resolve => setTimeout(resolve, 6000))
  const poller = await startPoller(lab.vip)
  const before = await services(lab)
  const drill = await failedDrill()
  const seen = await poller.stop()
  expect(drill).toMatchObject({ from: null, to: null, probes: 0, holders_max: 2 })
  expect(drill.said).toMatch(/srv-1 and srv-2 are both master of VRRP1 .* do not hear each other/)
  expect(seen.failed).toBe(0)
  expect(await services(lab)).toEqual(before)
})
