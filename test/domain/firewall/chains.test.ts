import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { blockingChains, type Chain, type Packet, passesSurely } from '../../../src/domain/firewall/chains.ts'
import { parseIptablesSave } from '../../../src/domain/firewall/iptables.ts'
import { parseNftRuleset } from '../../../src/domain/firewall/nft.ts'
import { chainsOf } from '../../../src/domain/firewall/needs.ts'

const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/firewalls/${name}`, import.meta.url), 'utf8')
const vrrp = (source: string): Packet => ({ hook: 'input', protocol: 112, source, destination: '192.0.2.12', interface: 'eth0' })
const tcp = (port: number): Packet => ({ hook: 'input', protocol: 6, port })
const OUT: Packet = { hook: 'output', protocol: 112, source: '192.0.2.12', destination: '224.0.0.18', interface: 'eth0' }
const isBlocked = (chains: readonly Chain[], packet: Packet) => blockingChains(chains, packet).length > 0

describe.each([
  ['ufw, by iptables-save', parseIptablesSave(fixture('ufw.iptables-save')) ?? []],
  ['nftables with a policy of drop', parseNftRuleset(fixture('nftables-policy-drop.json')) ?? []],
])('%s', (_, chains) => {
  test.for<[string, Packet, boolean]>([
    ['VRRP from the peer that a rule names passes', vrrp('192.0.2.11'), false],
    ['VRRP from another is stopped, although "established" would pass', vrrp('192.0.2.13'), true],
    ['a port that is open passes', tcp(443), false],
    ['SSH passes', tcp(22), false],
    ['a port that no rule names is stopped', tcp(80), true],
    ['what goes out passes', OUT, false],
  ])('%s', ([, packet, expected]) => {
    expect(isBlocked(chains, packet)).toBe(expected)
  })

  test('VRRP certainly goes out, so that it need not be tried', () => {
    expect(passesSurely(chains, OUT)).toBe(true)
    expect(passesSurely(chains, vrrp('192.0.2.13'))).toBe(false)
  })
})

describe('IPv6', () => {
  const vrrp6 = (source?: string): Packet => ({
    family: 6,
    hook: 'input',
    protocol: 112,
    source,
    destination: '2001:db8::12',
    interface: 'eth0',
  })
  const tcp6 = (port: number): Packet => ({ family: 6, hook: 'input', protocol: 6, port })
  const ip6tables = (...rules: readonly string[]) =>
    parseIptablesSave(`*filter\n:INPUT DROP [0:0]\n${rules.join('\n')}\nCOMMIT\n`, 'ip6') ?? []

  test.for<[string, readonly string[], Packet, boolean]>([
    ['a policy of drop stops VRRP', [], vrrp6('2001:db8::11'), true],
    ['and nothing of IPv4', [], vrrp('192.0.2.11'), false],
    ['a rule for the peer lets it in', ['-A INPUT -s 2001:db8::11/128 -p vrrp -j ACCEPT'], vrrp6('2001:db8::11'), false],
    ['one for another does not', ['-A INPUT -s 2001:db8::13/128 -p vrrp -j ACCEPT'], vrrp6('2001:db8::11'), true],
    ['who speaks by multicast may be in any rule', ['-A INPUT -s fe80::/10 -p vrrp -j ACCEPT'], vrrp6(), false],
    ['a port that is open passes', ['-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT'], tcp6(80), false],
  ])('ip6tables: %s', ([, rules, packet, expected]) => {
    expect(isBlocked(ip6tables(...rules), packet)).toBe(expected)
  })

  test.for<[string, unknown, Packet, boolean]>([
    ['a rule for the protocol is one for both families', { meta: { key: 'l4proto' } }, vrrp6('2001:db8::11'), false],
    ["a rule for IPv4's protocol field is not", { payload: { protocol: 'ip', field: 'protocol' } }, vrrp6('2001:db8::11'), true],
    ["IPv6's next header is its own", { payload: { protocol: 'ip6', field: 'nexthdr' } }, vrrp6('2001:db8::11'), false],
    ['and not one for IPv4', { payload: { protocol: 'ip6', field: 'nexthdr' } }, vrrp('192.0.2.11'), true],
  ])('nftables: %s', ([, left, packet, expected]) => {
    const chain = { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy: 'drop' }
    const expr = [{ match: { op: '==', left, right: 112 } }, { accept: null }]
    const rules = { nftables: [{ chain }, { rule: { family: 'inet', table: 'filter', chain: 'input', expr } }] }
    expect(isBlocked(parseNftRuleset(JSON.stringify(rules)) ?? [], packet)).toBe(expected)
  })

  test.for<[string, readonly unknown[], boolean]>([
    ['the peer', ['2001:db8::11'], false],
    ['its network', [{ prefix: { addr: '2001:db8::', len: 64 } }], false],
    ['another', ['2001:db8::13'], true],
  ])('nftables: a rule for %s', ([, set, expected]) => {
    const chain = { family: 'ip6', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy: 'drop' }
    const expr = [{ match: { op: '==', left: { payload: { protocol: 'ip6', field: 'saddr' } }, right: { set } } }, { accept: null }]
    const rules = { nftables: [{ chain }, { rule: { family: 'ip6', table: 'filter', chain: 'input', expr } }] }
    expect(isBlocked(parseNftRuleset(JSON.stringify(rules)) ?? [], vrrp6('2001:db8::11'))).toBe(expected)
  })

  test('the rules that firewalld has for both families stop it too', () => {
    const chains = parseNftRuleset(fixture('firewalld.json')) ?? []
    expect(isBlocked(chains, vrrp6('2001:db8::11'))).toBe(true)
    expect(isBlocked(chains, tcp6(22))).toBe(false)
  })
})

describe('firewalld', () => {
  const chains = parseNftRuleset(fixture('firewalld.json')) ?? []

  test.for<[string, Packet, boolean]>([
    ['VRRP does not pass, although packets after DNAT would', vrrp('192.0.2.11'), true],
    ['the port of a service that is on in its zone passes', tcp(22), false],
    ['another port does not', tcp(80), true],
    ['what goes out passes', OUT, false],
  ])('%s', ([, packet, expected]) => {
    expect(isBlocked(chains, packet)).toBe(expected)
  })

  test('whose rules cannot be read is not taken for one without rules', () => {
    const none = { ufw: undefined, netfilterPersistent: false, ufwRules: [], iptables: undefined }
    for (const nft of [undefined, '']) expect(chainsOf({ ...none, firewalld: true, nft })).toBeUndefined()
    expect(chainsOf({ ...none, firewalld: false, nft: undefined })).toEqual([])
  })
})

describe('rules of iptables', () => {
  const input = (policy: string, ...rules: string[]) =>
    parseIptablesSave(`*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n:INPUT ${policy} [0:0]\n:mine - [0:0]\n${rules.join('\n')}\nCOMMIT\n`) ??
    []

  test.for<[string, string, readonly string[], boolean]>([
    ['an open policy lets everything in', 'ACCEPT', [], false],
    [
      'a REJECT for all others stops what comes after it',
      'ACCEPT',
      ['-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT', '-A INPUT -j REJECT --reject-with icmp-host-prohibited'],
      true,
    ],
    ['a rule that is not understood may hold', 'DROP', ['-A INPUT -m set --match-set peers src -j ACCEPT'], false],
    ['a rule for another interface does not help', 'DROP', ['-A INPUT -i lo -j ACCEPT', '-A INPUT -i eth1 -p vrrp -j ACCEPT'], true],
    ['all but one interface is this one too', 'DROP', ['-A INPUT ! -i eth1 -p vrrp -j ACCEPT'], false],
    ['a network holds the peer', 'DROP', ['-A INPUT -s 192.0.2.0/24 -p 112 -j ACCEPT'], false],
    ['another network does not', 'DROP', ['-A INPUT -s 198.51.100.0/24 -p 112 -j ACCEPT'], true],
    ['a mask with holes is not understood', 'DROP', ['-A INPUT -s 192.0.0.9/255.0.255.255 -p 112 -j ACCEPT'], false],
    ['the rules of another chain count where it is jumped to', 'DROP', ['-A INPUT -j mine', '-A mine -p vrrp -j ACCEPT'], false],
    ['a chain may give it back', 'DROP', ['-A INPUT -j mine', '-A mine -p vrrp -j RETURN', '-A mine -j ACCEPT'], true],
    ['a chain that calls itself ends', 'DROP', ['-A INPUT -j mine', '-A mine -j mine'], false],
    ['a word that is quoted is one word', 'DROP', ['-A INPUT -m comment --comment "-p tcp" -j ACCEPT'], false],
    ['a drop of VRRP before an accept of all', 'ACCEPT', ['-A INPUT -p vrrp -j DROP', '-A INPUT -j ACCEPT'], true],
  ])('%s', ([, policy, rules, expected]) => {
    expect(isBlocked(input(policy, ...rules), vrrp('192.0.2.11'))).toBe(expected)
  })
})

describe('rules of nftables', () => {
  const ruleset = (...rules: unknown[]) =>
    JSON.stringify({
      nftables: [
        { table: { family: 'inet', name: 'filter' } },
        { chain: { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
        ...rules.map(expr => ({ rule: { family: 'inet', table: 'filter', chain: 'input', expr } })),
      ],
    })
  const match = (left: unknown, right: unknown, op = '==') => ({ match: { op, left, right } })
  const saddr = { payload: { protocol: 'ip', field: 'saddr' } }
  const accept = { accept: null }

  test.for<[string, readonly unknown[], boolean]>([
    ['protocols by number, in a set', [match({ meta: { key: 'l4proto' } }, { set: ['tcp', 112] }), accept], false],
    ['a named set may hold the peer', [match(saddr, '@peers'), accept], false],
    ['a network that does not hold the peer', [match(saddr, { prefix: { addr: '198.51.100.0', len: 24 } }), accept], true],
    ['everybody but a stranger', [match(saddr, '198.51.100.7', '!='), accept], false],
    ['IPv6 only', [match({ meta: { key: 'nfproto' } }, 'ipv6'), accept], true],
    ['what is established only', [match({ ct: { key: 'state' } }, ['established', 'related'], 'in'), accept], true],
    ['a statement that is not understood', [{ xt: { type: 'match', name: 'policy' } }, accept], false],
    ['UDP of any port', [match({ payload: { protocol: 'udp', field: 'dport' } }, { range: [1, 65535] }), accept], true],
  ])('%s', ([, expr, expected]) => {
    expect(isBlocked(parseNftRuleset(ruleset(expr)) ?? [], vrrp('192.0.2.11'))).toBe(expected)
  })

  test('an answer that was cut off gives no ruleset', () => {
    expect(parseNftRuleset(ruleset([accept]).slice(0, -10))).toBeUndefined()
    expect(parseNftRuleset('{}')).toBeUndefined()
  })
})

test("the tables that iptables keeps in nftables are judged by iptables' output, other tables by nft's", () => {
  const nft = JSON.stringify({
    nftables: [
      { chain: { family: 'ip', table: 'filter', name: 'INPUT', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
      { chain: { family: 'inet', table: 'mine', name: 'in', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
    ],
  })
  const more = { ufw: undefined, firewalld: false, netfilterPersistent: false, ufwRules: [] }
  const both = chainsOf({ ...more, nft, iptables: '*filter\n:INPUT DROP [0:0]\n-A INPUT -p vrrp -j ACCEPT\nCOMMIT\n' }) ?? []
  expect(blockingChains(both, vrrp('192.0.2.11')).map(chain => chain.name)).toEqual(['in'])
  expect(chainsOf({ ...more, nft: '{', iptables: undefined })).toBeUndefined()
  expect(chainsOf({ ...more, nft: undefined, iptables: undefined })).toEqual([])
})

test('a table that was cut off is not judged: the rule that accepts everything may be missing', () => {
  const more = { ufw: undefined, firewalld: false, netfilterPersistent: false, ufwRules: [], nft: undefined }
  expect(chainsOf({ ...more, iptables: '*filter\n:INPUT DROP [0:0]\n-A INPUT -p icmp -j ACCE' })).toBeUndefined()
  expect(chainsOf({ ...more, iptables: '*filter\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n:PREROUTING ACC' })).toHaveLength(1)
})
