import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { LoadedCluster } from '../../../src/app/load.ts'
import { preflightFindings, rowsOf } from '../../../src/engine/operations/preflight.ts'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import type { Finding } from '../../../src/domain/preflight/finding.ts'
import { isAnyPeerSilent, wireFindings, wireLinksOf } from '../../../src/domain/preflight/wire.ts'
import type { Facts } from '../../../src/state/machine.ts'
import type { ObservedFirewall } from '../../../src/state/network.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import type { WireReport } from '../../../src/state/wire.ts'
import { NO_FIREWALL } from '../../support/firewalls.ts'
import { clusterFor, NAMES } from '../../support/model-cluster.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'

let loaded: LoadedCluster
beforeAll(async () => {
  loaded = await clusterFor({})
})

const fine = (): ObservedNode[] =>
  NAMES.map((name, index) => ({ ...observeModel(modelServer(name, 11 + index)), clockAheadMs: 0, listeners: [], firewall: NO_FIREWALL }))
/** Without ss(8). */
const observeSecond = (): ObservedNode => ({ ...observeModel(modelServer('srv-2', 12)), clockAheadMs: 0, firewall: NO_FIREWALL })
const withSecond = (more: Partial<ObservedNode>, facts: Partial<Facts> = {}): ObservedNode[] =>
  fine().map(node => (node.server === 'srv-2' ? { ...node, ...more, facts: { ...node.facts, ...facts } } : node))
const withoutClock = (nodes: ObservedNode[]): ObservedNode[] =>
  nodes.map(node => {
    const { clockAheadMs: _notCompared, ...rest } = node
    return node.server === 'srv-2' ? rest : node
  })
const told = (findings: readonly Finding[]) =>
  findings.flatMap(one => (one.verdict === 'passed' ? [] : [`${one.server} ${one.check} ${one.verdict} ${one.error?.code ?? ''}`.trim()]))
const judged = (nodes: readonly ObservedNode[]) => preflightFindings(loaded.cluster, nodes, { minded: 'locks' })
const nginx = { address: undefined, families: [4] as const, port: 80, process: 'nginx' }
const drop = '*filter\n:INPUT DROP [0:0]\n-A INPUT -s 192.0.2.11/32 -p vrrp -j ACCEPT\nCOMMIT\n'

test('too little space is said of /var', () => {
  const [failure] = judged(withSecond({}, { freeVarKiB: 50_000 })).filter(one => one.verdict === 'failed')
  expect(failure).toMatchObject({ server: 'srv-2', found: '/var has only 48 MiB free' })
})

describe('before a deploy', () => {
  test.for<[string, () => ObservedNode[], readonly string[]]>([
    ['healthy servers pass', fine, []],
    ['HAProxy itself may listen', () => withSecond({ listeners: [{ ...nginx, process: 'haproxy' }] }), []],
    ["another port is nobody else's business", () => withSecond({ listeners: [{ ...nginx, port: 8080 }] }), []],
    ['IPv6 alone does not take the port', () => withSecond({ listeners: [{ ...nginx, families: [6] }] }), []],
    ['a port that another program has', () => withSecond({ listeners: [nginx] }), ['srv-2 ports failed E_PORT_TAKEN']],
    [
      'a port that another program has on one address',
      () => withSecond({ listeners: [{ ...nginx, address: '127.0.0.1' }] }),
      ['srv-2 ports failed E_PORT_TAKEN'],
    ],
    ['the listening sockets are unknown', () => [...fine().slice(0, 1), observeSecond(), ...fine().slice(2)], ['srv-2 ports unknown']],
    ['too little space for an installation', () => withSecond({}, { freeVarKiB: 50_000 }), ['srv-2 disk failed E_DISK_FULL']],
    ['a clock a minute behind', () => withSecond({ clockAheadMs: -60_000 }), ['srv-2 clock warning']],
    ['a clock a day behind, where apt must work', () => withSecond({ clockAheadMs: -86_400_000 }), ['srv-2 clock failed E_CLOCK']],
    ['a clock that cannot be read is no fault of the server', () => withoutClock(fine()), ['srv-2 clock unknown']],
    ['so is room that df does not tell', () => withSecond({}, { freeVarKiB: undefined }), ['srv-2 disk unknown']],
    ["the controller's own clock is wrong", () => fine().map(node => ({ ...node, clockAheadMs: 86_400_000 })), []],
    ['cloud-init that is not done yet', () => withSecond({}, { cloudInitRuns: true }), ['srv-2 dpkg warning']],
    [
      'a virtual address that the system itself sets up',
      () => withSecond({ staticAddresses: [{ address: '192.0.2.200', path: '/etc/netplan/50-vip.yaml' }] }),
      ['srv-2 address warning'],
    ],
    ['an installation that was cut off', () => withSecond({ dpkgBroken: true }), ['srv-2 dpkg warning']],
    ['a clone that kept its machine id', () => withSecond({}, { machineId: 'srv-1' }), ['srv-2 machine warning']],
    [
      'no interface in the network: then nobody knows who speaks with whom',
      () => withSecond({}, { addresses: [] }),
      ['srv-2 interface failed E_NO_INTERFACE', 'srv-1 firewall unknown', 'srv-2 firewall unknown', 'srv-3 firewall unknown'],
    ],
    [
      'a firewall that lets one peer in and not the other',
      () => withSecond({ firewall: { ...NO_FIREWALL, iptables: drop } }),
      ['srv-2 firewall failed E_FIREWALL'],
    ],
    [
      'of a server where hactl is not root nothing else is told',
      () => withSecond({ listeners: [nginx] }, { uid: 1000, freeVarKiB: 0 }),
      ['srv-2 root failed E_SUDO'],
    ],
    ['rules that cannot be read', () => withSecond({ firewall: { ...NO_FIREWALL, nft: '{' } }), ['srv-2 firewall unknown']],
  ])('%s', ([, nodes, expected]) => {
    expect(told(judged(nodes()))).toEqual(expected)
  })

  test('every reason on every server is in one table, checks in one order, each failure with its fix', () => {
    const rows = rowsOf(judged(withSecond({ listeners: [nginx], firewall: { ...NO_FIREWALL, iptables: drop } }, { freeVarKiB: 1 })))
    expect(new Set(rows.map(row => row.server)).size).toBe(3)
    const failures = rows.filter(row => row.verdict === 'failed')
    expect(failures.map(row => row.check)).toEqual(['disk', 'ports', 'firewall'])
    expect(failures.every(row => row.fix !== undefined)).toBe(true)
  })
})

describe('what would open a firewall', () => {
  const fixOf = (firewall: Partial<ObservedFirewall>) =>
    judged(withSecond({ firewall: { ...NO_FIREWALL, ...firewall } })).find(one => one.check === 'firewall' && one.verdict === 'failed')?.fix
  const chain = (table: string) =>
    JSON.stringify({ nftables: [{ chain: { family: 'inet', table, name: 'in', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } }] })

  test.for<[string, Partial<ObservedFirewall>, RegExp]>([
    ['ufw that knows VRRP', { ufw: '0.36.2-1', iptables: drop }, /run: ufw allow proto vrrp from 192\.0\.2\.13; ufw allow 80\/tcp$/],
    ['ufw that does not', { ufw: '0.36-7.1', iptables: drop }, /-A ufw-before-input -p 112 -s 192\.0\.2\.13 -j ACCEPT.*before\.rules/],
    ['iptables', { iptables: drop }, /iptables -I INPUT -p 112 -s 192\.0\.2\.13 -j ACCEPT/],
    ['nftables', { nft: chain('filter') }, /nft insert rule inet filter in ip saddr 192\.0\.2\.11 ip protocol 112 accept/],
    [
      'firewalld, by the zone of the interface',
      { firewalld: true, nft: readFileSync(new URL('../../../fixtures/firewalls/firewalld.json', import.meta.url), 'utf8') },
      /^firewall-cmd --permanent --zone=public --add-rich-rule='rule family=ipv4 source address=192\.0\.2\.11 protocol value=vrrp accept' --add-rich-rule='[^']*192\.0\.2\.13[^']*' --add-rich-rule='rule port port=80 protocol=tcp accept' && firewall-cmd --reload$/,
    ],
    [
      'firewalld, where its zones do not show',
      { firewalld: true, nft: chain('firewalld') },
      /^firewall-cmd --permanent --add-rich-rule='rule family=ipv4 /,
    ],
  ])('%s', ([, firewall, expected]) => {
    expect(fixOf(firewall)).toMatch(expected)
  })

  test('a cluster that works gets warnings only', () => {
    const nodes = withSecond({ firewall: { ...NO_FIREWALL, iptables: drop } }).map(node => ({
      ...node,
      services: { ...node.services, keepalived: { ...node.services.keepalived, active: 'active' } },
    }))
    expect(told(judged(nodes))).toEqual(['srv-2 firewall warning'])
  })
})

describe('on the wire', () => {
  const facts = () => nodeFactsFor(loaded.cluster, Object.fromEntries(fine().map(node => [node.server, node])))
  const report = (server: string, over: Partial<WireReport> = {}): WireReport => {
    const node = fine().find(one => one.server === server)
    if (node === undefined) throw new Error(server)
    const [link] = wireLinksOf(loaded.cluster, node, facts(), NAMES)
    if (link === undefined) throw new Error(`${server} has no link`)
    return { link, arrived: link.peers, passed: link.peers, neighbours: link.peers, refused: {}, routers: [], ...over }
  }
  const heard = (second: Partial<WireReport> = {}, nodes = fine()) => {
    const reports = new Map(NAMES.map(name => [name, [report(name, name === 'srv-2' ? second : {})]]))
    return { silent: isAnyPeerSilent(reports, new Map()), findings: wireFindings(loaded.cluster, nodes, facts(), reports, new Map()) }
  }

  test('each server listens for the others on the interface of the address, and tries to send only where it has a filter', () => {
    expect(report('srv-2').link).toEqual({
      interface: 'eth0',
      address: '192.0.2.12',
      multicast: false,
      peers: ['192.0.2.11', '192.0.2.13'],
      mayRefuse: false,
    })
    const [behind] = withSecond({ firewall: { ...NO_FIREWALL, iptables: '*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n' } }).filter(
      node => node.server === 'srv-2',
    )
    if (behind === undefined) throw new Error('no srv-2')
    expect(wireLinksOf(loaded.cluster, behind, facts(), NAMES)[0]?.mayRefuse).toBe(true)
  })

  test('nothing is reported where all servers hear each other', () => {
    expect(heard()).toMatchObject({ silent: false })
    expect(told(heard().findings)).toEqual([])
  })

  test.for<[string, Partial<WireReport>, RegExp, RegExp]>([
    [
      "it arrives and does not pass: the server's own filter",
      { passed: ['192.0.2.13'] },
      /from srv-1 arrives, and its own packet filter drops it/,
      /from 192\.0\.2\.11/,
    ],
    [
      'it does not arrive: something on the way',
      { passed: ['192.0.2.13'], arrived: ['192.0.2.13'] },
      /from srv-1 does not arrive on eth0/,
      /security group/,
    ],
    [
      'not even ARP does: another segment',
      { passed: [], arrived: [], neighbours: [] },
      /from srv-1 and srv-3 does not arrive/,
      /one network segment/,
    ],
  ])('%s', ([, second, what, fix]) => {
    const { silent, findings } = heard(second)
    expect(silent).toBe(true)
    const failures = findings.filter(one => one.verdict === 'failed')
    expect(failures.map(one => `${one.server} ${one.error?.code}`)).toEqual(['srv-2 E_VRRP_BLOCKED'])
    expect(failures[0]?.found).toMatch(what)
    expect(failures[0]?.fix).toMatch(fix)
  })

  test('a filter that does not let VRRP out is reported', () => {
    const { findings } = heard({ refused: { '192.0.2.13': 'Operation not permitted' } })
    expect(findings.find(one => one.verdict === 'failed')?.found).toMatch(/does not let VRRP .* out to srv-3/)
  })

  test("what the firewall's rules have shown already is no second error", () => {
    const reports = new Map(NAMES.map(name => [name, [report(name, name === 'srv-2' ? { passed: ['192.0.2.13'] } : {})]]))
    const findings = wireFindings(loaded.cluster, fine(), facts(), reports, new Map([['srv-2', 'told']]))
    expect(isAnyPeerSilent(reports, new Map([['srv-2', 'told']]))).toBe(false)
    expect(told(findings)).toEqual(['srv-2 vrrp failed'])
  })

  test.for<[string, WireReport['routers'], readonly string[]]>([
    ['a stranger with our number', [{ address: '192.0.2.77', virtualRouterId: 66 }], ['srv-2 router id failed E_VRID_TAKEN']],
    ['a stranger with another', [{ address: '192.0.2.77', virtualRouterId: 67 }], []],
    ['one of ours', [{ address: '192.0.2.13', virtualRouterId: 66 }], []],
  ])('a router is heard: %s', ([, routers, expected]) => {
    expect(told(heard({ routers }).findings)).toEqual(expected)
  })

  test('an unused number is named; with a server left out it is only a doubt', () => {
    const routers = [66, 67].map(virtualRouterId => ({ address: '192.0.2.77', virtualRouterId }))
    expect(heard({ routers }).findings.find(one => one.verdict === 'failed')?.fix).toMatch(/such as 68/)
    expect(told(heard({ routers }, fine().slice(0, 2)).findings)).toEqual(['srv-2 router id warning'])
  })

  test('nothing is reported where perl did not run', () => {
    const reports = new Map(NAMES.map(name => [name, [undefined]]))
    expect(told(wireFindings(loaded.cluster, fine().slice(0, 1), facts(), reports, new Map()))).toEqual([
      'srv-1 vrrp unknown',
      'srv-1 router id unknown',
    ])
  })
})
