/** What is checked on servers before anything is changed on them. Needs: any lab. Leaves: the fast profile, converged. */
import { type ChildProcess, spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectExit, labInventory, resultOf, type Run } from './support/hactl.ts'
import { local, openLab, until } from './support/lab.ts'
import { freshWorkspace } from './support/opening.ts'
import { ensureDeployed, snapshots } from './support/servers.ts'

const lab = openLab()
const work = freshWorkspace(lab)

interface Row {
  readonly check: string
  readonly server: string
  readonly verdict: string
  readonly found: string
  readonly fix: string | null
}
const rowsOf = (run: Run) => (resultOf(run) as unknown as { readonly checks: readonly Row[] }).checks
const failuresOf = (run: Run) =>
  rowsOf(run)
    .filter(row => row.verdict === 'failed')
    .map(row => `${row.server} ${row.check}`)
    .toSorted()

/** Another router on the lab's network: it sends every second for half a minute at most. */
function startRouter(virtualRouterId: number): ChildProcess {
  const program = `use Socket; socket(my $s, AF_INET, SOCK_RAW, 112) or die $!;
    setsockopt($s, 0, 33, pack 'l', 255); setsockopt($s, 0, 32, inet_aton($ARGV[0]));
    for (1..30) { send $s, pack('C C C C n n a4', 0x31, $ARGV[1], 100, 1, 100, 0, inet_aton('192.0.2.9')), 0, pack_sockaddr_in(0, inet_aton('224.0.0.18')); select undef, undef, undef, 1 }`
  return spawn('perl', ['-e', program, lab.gateway, String(virtualRouterId)], { stdio: 'ignore' })
}

/** The machine of the lab has this address, too. */
const onGateway = async (verb: 'add' | 'del') => {
  const bridges = await local('ip', ['-o', 'addr', 'show', 'to', lab.gateway])
  const bridge = /^\d+: (\S+)/.exec(bridges.stdout)?.[1] ?? ''
  expect((await local('ip', ['addr', verb, `${lab.vip}/32`, 'dev', bridge])).code).toBe(0)
}

const LISTEN_ON_80 = `perl -e 'use Socket; socket(my $s, AF_INET, SOCK_STREAM, 0); bind($s, pack_sockaddr_in(80, INADDR_ANY)) or die; listen $s, 5; sleep 60'`
const NO_VRRP_FROM_1 = `nft -f - <<'RULES'
table inet mine { chain in { type filter hook input priority 0; policy accept; ip saddr ${lab.host('srv-1')} meta l4proto 112 drop; }; }
RULES`

beforeAll(async () => {
  await lab.sh('srv-2', 'apt-get update -qq && apt-get install -y -qq --no-install-recommends nftables >/dev/null 2>&1')
})

afterAll(async () => {
  work.writeInventory(labInventory(lab))
  await ensureDeployed(lab, work)
})

describe('bare servers', () => {
  test('every fault on every server is reported at once, before anything is changed', async () => {
    const before = await snapshots(lab)
    const router = startRouter(66)
    await lab.docker('exec', '-d', lab.container('srv-3'), 'sh', '-c', LISTEN_ON_80)
    await until('port 80 is taken', 5_000, async () => (await lab.sh('srv-3', 'ss -Hltn sport = :80')) !== '')
    await lab.sh('srv-2', NO_VRRP_FROM_1)
    await onGateway('add')
    try {
      const run = await work.hactl(['deploy', '--yes', '--json'])
      expectExit(run, 5)
      const everywhere = (check: string) => ['srv-1', 'srv-2', 'srv-3'].map(server => `${server} ${check}`)
      expect(failuresOf(run)).toEqual(
        [...everywhere('address'), ...everywhere('router id'), 'srv-2 firewall', 'srv-2 vrrp', 'srv-3 ports'].toSorted(),
      )
      for (const words of ['FAILED', '[E_VIP_TAKEN]', '[E_VRID_TAKEN]', '[E_FIREWALL]', '[E_PORT_TAKEN]', 'nft insert rule inet mine in'])
        expect(run.stderr).toContain(words)
      expect(await snapshots(lab)).toEqual(before)
    } finally {
      router.kill()
      await onGateway('del')
      await lab.sh('srv-3', 'pkill -x perl || true')
    }
  })

  test('VRRP that is dropped in one direction by unreadable rules is found on the wire', async () => {
    await lab.sh('srv-2', 'mv /usr/sbin/nft /usr/sbin/nft.away')
    try {
      const run = await work.hactl(['deploy', '--yes', '--json'])
      expectExit(run, 5)
      expect(failuresOf(run)).toEqual(['srv-2 vrrp'])
      expect(resultOf(run)).toMatchObject({ code: 'E_VRRP_BLOCKED', server: 'srv-2' })
      expect(resultOf(run).what).toMatch(/from srv-1 arrives, and its own packet filter drops it/)
      expect(await lab.everywhere('dpkg -l haproxy keepalived 2>/dev/null | grep -c ^ii || true')).toEqual(['0\n', '0\n', '0\n'])
    } finally {
      await lab.sh('srv-2', 'mv /usr/sbin/nft.away /usr/sbin/nft; nft delete table inet mine')
    }
  })

  test('a network that drops foreign sources on the way to one server is a warning, and stops nothing', async () => {
    // As IP source guard does: the packet never reaches the server's network stack.
    const guard = 'chain in { type filter hook ingress device eth0 priority 0; ip saddr 192.0.2.1 drop; }'
    await lab.sh('srv-2', `nft 'table netdev guard { ${guard}; }'`)
    try {
      const run = await work.hactl(['check', '--servers', '--json'])
      expectExit(run, 0)
      const doubtful = rowsOf(run).filter(row => row.verdict !== 'passed')
      expect(doubtful.map(({ server, check, verdict }) => [server, check, verdict])).toEqual([['srv-2', 'connections', 'warning']])
      expect(doubtful[0]?.found).toMatch(/do not arrive from srv-[13] and srv-[13] on eth0/)
      expect(doubtful[0]?.fix).toMatch(/port security/)
    } finally {
      await lab.sh('srv-2', 'nft delete table netdev guard')
    }
  })

  test('an old entry of a neighbour table is ignored, and healthy servers pass unchanged', async () => {
    await lab.sh('srv-1', `ip neigh replace ${lab.vip} lladdr 02:00:00:00:00:99 dev eth0 nud stale`)
    const before = await snapshots(lab)
    const run = await work.hactl(['check', '--servers', '--json'])
    expectExit(run, 0)
    expect(rowsOf(run).filter(row => row.verdict !== 'passed')).toEqual([])
    expect(rowsOf(run).find(row => row.server === 'srv-1' && row.check === 'vrrp')?.found).toMatch(/heard srv-2 and srv-3 on eth0/)
    expect(await snapshots(lab)).toEqual(before)
  })
})

describe('a firewall that lets nothing in but SSH', () => {
  const RULES = `table inet filter
delete table inet filter
table inet filter { chain input { type filter hook input priority 0; policy drop; ct state established,related accept; iif lo accept; tcp dport 22 accept; }; }
`
  const rulesOf = () => lab.sh('srv-2', 'nft list chain inet filter input')

  test('is opened where the inventory says so, stays open when its rules are loaded again, and is closed by remove', async () => {
    await lab.sh('srv-2', `printf '%s' '${RULES}' >/etc/nftables.conf && systemctl start nftables`)
    const shut = await rulesOf()
    try {
      work.writeInventory(labInventory(lab, { firewall: 'open' }))
      const deployed = await work.hactl(['deploy', '--yes', '--json'])
      expectExit(deployed, 0)
      const changed = resultOf(deployed).servers?.map(({ name, changed: ids }) => [name, ids.includes('firewall/rules')])
      expect(changed).toEqual([
        ['srv-1', false],
        ['srv-2', true],
        ['srv-3', false],
      ])
      await lab.sh('srv-2', 'systemctl reload nftables')
      await until('its rules are there again', 10_000, async () => (await rulesOf()).split('comment "hactl"').length === 4)
      expectExit(await work.hactl(['plan', '--exit-code', '--json']), 0)
      expectExit(await work.hactl(['remove', '--yes', '--json']), 0)
      expect(await rulesOf()).toBe(shut)
      expect(await lab.sh('srv-2', 'ls /usr/local/sbin /etc/systemd/system/multi-user.target.wants | grep hactl || true')).toBe('')
    } finally {
      await lab.sh('srv-2', 'nft delete table inet filter; rm -f /etc/nftables.conf')
    }
  })
})
