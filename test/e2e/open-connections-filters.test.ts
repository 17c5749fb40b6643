/**
 * Other packet filters on the servers, and the service itself, are reloaded while a window is open: nobody is cut and nothing is lost (evidence O15).
 * docker and fail2ban are imitated by what they do to the packet filter. Needs: any lab whose nft has owners; resets it. Leaves: the lab's cluster.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { labInventory } from './support/hactl.ts'
import { NOTHING, openKept } from './support/kept.ts'
import { openLab, pause, SERVERS } from './support/lab.ts'
import { ensureDeployed, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const { work, moved, status, untilProven, underLoad } = openKept(lab)
const SEGMENT = `${lab.prefix}.0/24`

const DOCKER = `iptables-restore <<'RULES'
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8099 -j DNAT --to-destination 172.17.0.2:80
COMMIT
RULES
`

const FAIL2BAN = `nft -f - <<'RULES'
table inet f2b-table {
  set addr-set-haproxy { type ipv4_addr; elements = { 198.51.100.9 } }
  chain f2b-chain {
    type filter hook input priority -1; policy accept;
    tcp dport { 80, 8090-8092 } ip saddr @addr-set-haproxy reject with icmp type port-unreachable
  }
}
RULES
`

interface Guest {
  readonly name: string
  readonly prepare: string
  readonly event: string
  readonly undo: string
}
const guests: readonly Guest[] = [
  { name: 'nft flush ruleset', prepare: 'true', event: 'nft flush ruleset', undo: 'true' },
  {
    name: 'nftables.service',
    prepare: 'systemctl start nftables',
    event: 'systemctl reload nftables; systemctl restart nftables',
    undo: 'systemctl stop nftables',
  },
  {
    name: 'ufw',
    prepare: `ufw allow from ${SEGMENT} && ufw --force enable`,
    event: 'ufw reload; ufw disable; ufw --force enable',
    undo: 'ufw --force reset',
  },
  {
    name: 'firewalld',
    prepare: `firewall-offline-cmd --zone=trusted --add-source=${SEGMENT} && systemctl start firewalld`,
    event: 'firewall-cmd --reload; systemctl restart firewalld',
    undo: 'systemctl stop firewalld',
  },
  {
    name: "docker's chains",
    prepare: DOCKER,
    event: `iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X; ${DOCKER}`,
    undo: 'iptables -F; iptables -t nat -F; iptables -P FORWARD ACCEPT',
  },
  {
    name: "fail2ban's table",
    prepare: FAIL2BAN,
    event: `nft delete table inet f2b-table; ${FAIL2BAN}`,
    undo: 'nft delete table inet f2b-table',
  },
]

beforeAll(async () => {
  await lab.heal()
  await lab.reset()
  // Before anything flushes the rules by which a container asks the engine for names. firewalld would start with rules that part the servers.
  await lab.everywhere(
    'systemctl mask firewalld ufw 2>/dev/null; apt-get -q update >/dev/null && ' +
      'DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends ufw firewalld iptables >/dev/null 2>&1 && systemctl unmask firewalld ufw',
  )
  await ensureDeployed(lab, work)
})
beforeEach(async () => {
  await untilHeldBy(lab, 'srv-1')
  await untilProven()
})
afterEach(async () => {
  await lab.heal()
  for (const server of SERVERS) await moved('undrain', server)
})
afterAll(async () => {
  await lab.reset()
  work.writeInventory(labInventory(lab))
  await ensureDeployed(lab, work)
})

test.for(guests)(
  '$name: set anew while connections are kept, and after the address has come back',
  async ({ prepare, event, undo }, context) => {
    if ((await status('srv-1')).startsWith('rules ordinary')) context.skip('nft of this release has no owner of tables')
    try {
      await lab.everywhere(prepare)
      await untilHeldBy(lab, 'srv-1')
      await untilProven()
      const seen = await underLoad(async () => {
        await moved('drain', 'srv-1')
        await lab.everywhere(event)
        await pause(1000)
        await moved('undrain', 'srv-1')
        await lab.everywhere(event)
      })
      expect(seen).toMatchObject(NOTHING)
    } finally {
      await lab.everywhere(`${undo}; true`)
    }
  },
)

test.for([
  ['restarted', 'systemctl restart hactl-open-connections'],
  ['killed', 'systemctl kill -s KILL --kill-who=main hactl-open-connections'],
] as const)('the service %s on the holder and on the old holder: nothing is cut', async ([, event], context) => {
  if ((await status('srv-1')).startsWith('rules ordinary')) context.skip('nft of this release has no owner of tables')
  const seen = await underLoad(async () => {
    await moved('drain', 'srv-1')
    for (const server of ['srv-2', 'srv-1']) {
      await lab.sh(server, event)
      await pause(1500)
    }
    await moved('undrain', 'srv-1')
  })
  expect(seen).toMatchObject(NOTHING)
})
