import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Need } from '../../../src/domain/firewall/need.ts'
import { openingFor } from '../../../src/domain/firewall/open.ts'
import type { ObservedFirewall } from '../../../src/state/network.ts'
import { NO_FIREWALL } from '../../support/firewalls.ts'
import { linesWithoutReason } from '../unit-file.ts'

const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/firewalls/${name}`, import.meta.url), 'utf8')
const from = (source: string): Need => ({
  packet: { hook: 'input', protocol: 112, source, destination: '192.0.2.12', interface: 'eth0' },
  title: `VRRP from ${source}`,
  isVital: true,
})
const port = (number: number): Need => ({
  packet: { hook: 'input', protocol: 6, port: number },
  title: `TCP to port ${number}`,
  isVital: true,
})
// The fixtures let in VRRP from .11 and port 443.
const NEEDS = [from('192.0.2.11'), from('192.0.2.13'), port(80), port(443)]
const NFT = { ...NO_FIREWALL, nft: fixture('nftables-policy-drop.json') }
const UFW = { ...NO_FIREWALL, ufw: '0.36.2-1', iptables: fixture('ufw.iptables-save') }
const IPTABLES = {
  ...NO_FIREWALL,
  iptables:
    '*filter\n:INPUT DROP [0:0]\n-A INPUT -s 192.0.2.11/32 -p vrrp -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\nCOMMIT\n',
}

function opened(firewall: ObservedFirewall) {
  const opening = openingFor(firewall, NEEDS)
  if (opening.kind !== 'open') throw new Error(`not opened: ${JSON.stringify(opening)}`)
  return opening
}
const ownIptables = (text: string, chain: string, mark: string) =>
  text.replace(
    'COMMIT',
    `-A ${chain} -s 192.0.2.13/32 -p vrrp ${mark}-j ACCEPT\n-A ${chain} -p tcp -m tcp --dport 80 ${mark}-j ACCEPT\nCOMMIT`,
  )
const ownNft = () => {
  const parsed = JSON.parse(NFT.nft) as { nftables: unknown[] }
  const rule = (...match: unknown[]) => ({
    rule: { family: 'inet', table: 'filter', chain: 'input', comment: 'hactl', expr: [...match, { accept: null }] },
  })
  const is = (protocol: string, field: string, right: unknown) => ({ match: { op: '==', left: { payload: { protocol, field } }, right } })
  const at = parsed.nftables.findIndex(entry => JSON.stringify(entry).includes('"rule"'))
  parsed.nftables.splice(at, 0, rule(is('tcp', 'dport', 80)), rule(is('ip', 'saddr', '192.0.2.13'), is('ip', 'protocol', 'vrrp')))
  return JSON.stringify(parsed)
}

/** What the script does when it is called with "open", where none of its rules exist yet. */
function doneBy(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'hactl-firewall-'))
  const log = join(folder, 'log')
  try {
    for (const name of ['nft', 'iptables', 'ip6tables', 'ufw', 'systemctl']) {
      const reads = 'case "$*" in "-f -") cat >>"$LOG" ;; esac'
      writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"$LOG"\n${reads}\n`, { mode: 0o755 })
    }
    execFileSync('sh', ['-s', 'open'], { input: script, env: { PATH: `${folder}:${process.env['PATH'] ?? ''}`, LOG: log } })
    return readFileSync(log, 'utf8')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.each([
  [
    'nftables',
    NFT,
    'insert rule inet filter input ip saddr 192.0.2.13 ip protocol 112 accept comment "hactl"',
    { ...NFT, nft: ownNft(), opensAtBoot: true },
  ],
  [
    'ufw',
    UFW,
    'allow from 192.0.2.13 proto vrrp',
    {
      ...UFW,
      iptables: ownIptables(UFW.iptables, 'ufw-user-input', ''),
      ufwRules: [
        '### tuple ### allow vrrp any 0.0.0.0/0 any 192.0.2.13 in comment=686163746c',
        '### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment=686163746c',
      ],
    },
  ],
  [
    'iptables',
    IPTABLES,
    'iptables -w 5 -I INPUT -p 112 -s 192.0.2.13 -m comment --comment hactl -j ACCEPT',
    {
      ...IPTABLES,
      iptables: ownIptables(IPTABLES.iptables, 'INPUT', '-m comment --comment hactl '),
      opensAtBoot: true,
    },
  ],
] as const)('%s', (_, shut, rule, open) => {
  test('exactly what is missing is let through, by a script that is valid shell', () => {
    const { titles, script, isOpen } = opened(shut)
    expect(titles).toEqual(['VRRP from 192.0.2.13', 'TCP to port 80'])
    expect(doneBy(script)).toContain(rule)
    expect(script).not.toContain('192.0.2.11')
    expect(isOpen).toBe(false)
    expect(() => execFileSync('sh', ['-n'], { input: script })).not.toThrow()
  })

  test('once it is open, the same rules are wanted and nothing is missing', () => {
    expect(opened(open)).toEqual({ ...opened(shut), isOpen: true })
  })
})

test('rules that nothing else loads at boot are loaded by a unit; ufw keeps its own', () => {
  expect(opened(NFT).unit).toContain('ReloadPropagatedFrom=nftables.service')
  // Its program may be on a mount that comes late.
  expect(opened(NFT).unit).toContain('RequiresMountsFor=/usr/local/sbin/hactl-firewall')
  expect(linesWithoutReason(opened(NFT).unit ?? '')).toEqual([])
  expect(opened(UFW).unit).toBeUndefined()
  expect(opened({ ...NFT, nft: ownNft() }).isOpen).toBe(false)
})

test.for<[string, ObservedFirewall, RegExp]>([
  ['firewalld, which keeps its rules itself', { ...NO_FIREWALL, firewalld: true, iptables: IPTABLES.iptables }, /firewalld/],
  ['ufw that does not know the protocol', { ...UFW, ufw: '0.36-7.1' }, /before\.rules/],
  ['rules that cannot be read', { ...NO_FIREWALL, nft: '{' }, /could not be read/],
  [
    'a chain with a name that is no plain word',
    {
      ...NO_FIREWALL,
      iptables: undefined,
      nft: NFT.nft.replaceAll('"input"', '"in;reboot"').replaceAll('"hook": "in;reboot"', '"hook": "input"'),
    },
    /name/,
  ],
])('not opened: %s', ([, firewall, why]) => {
  expect(openingFor(firewall, NEEDS)).toMatchObject({ kind: 'impossible', why: expect.stringMatching(why) as unknown })
})

test('where everything passes there is nothing to open', () => {
  expect(openingFor(NO_FIREWALL, NEEDS)).toEqual({ kind: 'none' })
  expect(openingFor(NFT, [from('192.0.2.11')])).toEqual({ kind: 'none' })
})

describe('IPv6', () => {
  const source = '2001:db8::11'
  const needs: readonly Need[] = [
    {
      packet: { family: 6, hook: 'input', protocol: 112, source, destination: '2001:db8::12', interface: 'eth0' },
      title: `VRRP from ${source}`,
      isVital: true,
    },
    { ...port(80), packet: { ...port(80).packet, family: 4 } },
    { ...port(80), packet: { ...port(80).packet, family: 6 } },
  ]
  const drop = (own: string) => `*filter\n:INPUT DROP [0:0]\n${own}COMMIT\n`
  const inet = (...rules: readonly unknown[]) =>
    JSON.stringify({
      nftables: [
        { chain: { family: 'inet', table: 'filter', name: 'input', type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
        ...rules.map(expr => ({ rule: { family: 'inet', table: 'filter', chain: 'input', comment: 'hactl', expr } })),
      ],
    })
  const is = (left: unknown, right: unknown) => ({ match: { op: '==', left, right } })
  const [VRRP6, PORT] = [
    [is({ payload: { protocol: 'ip6', field: 'saddr' } }, source), is({ meta: { key: 'l4proto' } }, 112), { accept: null }],
    [is({ payload: { protocol: 'tcp', field: 'dport' } }, 80), { accept: null }],
  ]
  const ownPort = '-A INPUT -p tcp -m tcp --dport 80 -m comment --comment hactl -j ACCEPT\n'
  const ownVrrp = `-A INPUT -s ${source}/128 -p vrrp -m comment --comment hactl -j ACCEPT\n`
  const inUfw = (six: '' | '6', own: string) =>
    `*filter\n:INPUT DROP [0:0]\n:ufw${six}-user-input - [0:0]\n-A INPUT -j ufw${six}-user-input\n${own}COMMIT\n`

  test.for<[string, ObservedFirewall, readonly string[], ObservedFirewall]>([
    [
      'nftables, whose one rule opens a port for both families',
      { ...NO_FIREWALL, nft: inet() },
      [`ip6 saddr ${source} meta l4proto 112 accept`, 'tcp dport 80 accept'],
      { ...NO_FIREWALL, nft: inet(VRRP6, PORT), opensAtBoot: true },
    ],
    [
      'ip6tables beside iptables',
      { ...NO_FIREWALL, iptables: drop(''), ip6tables: drop('') },
      [
        `ip6tables -w 5 -I INPUT -p 112 -s ${source} `,
        'ip6tables -w 5 -I INPUT -p tcp --dport 80 ',
        'iptables -w 5 -I INPUT -p tcp --dport 80 ',
      ],
      { ...NO_FIREWALL, iptables: drop(ownPort), ip6tables: drop(ownVrrp + ownPort), opensAtBoot: true },
    ],
    [
      'ufw',
      { ...UFW, iptables: inUfw('', ''), ip6tables: inUfw('6', '') },
      [`allow from ${source} proto vrrp`, 'allow 80/tcp'],
      {
        ...UFW,
        iptables: inUfw('', '-A ufw-user-input -p tcp -m tcp --dport 80 -j ACCEPT\n'),
        ip6tables: inUfw(
          '6',
          `-A ufw6-user-input -s ${source}/128 -p vrrp -j ACCEPT\n-A ufw6-user-input -p tcp -m tcp --dport 80 -j ACCEPT\n`,
        ),
        ufwRules: [
          '### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in comment=686163746c',
          `### tuple ### allow vrrp any ::/0 any ${source} in comment=686163746c`,
          '### tuple ### allow tcp 80 ::/0 any ::/0 in comment=686163746c',
        ],
      },
    ],
  ])('is opened in %s, and left alone once it is', ([, shut, rules, open]) => {
    const opening = openingFor(shut, needs)
    if (opening.kind !== 'open') throw new Error(JSON.stringify(opening))
    for (const rule of rules) expect(doneBy(opening.script)).toContain(rule)
    expect(opening.isOpen).toBe(false)
    expect(() => execFileSync('sh', ['-n'], { input: opening.script })).not.toThrow()
    expect(openingFor(open, needs)).toMatchObject({ kind: 'open', isOpen: true, script: opening.script })
  })
})

test("the rules that keep open connections can be read, and stop nothing of hactl's own", () => {
  const firewall = { ...NO_FIREWALL, nft: fixture('open-connections.json') }
  expect(openingFor(firewall, NEEDS)).toEqual({ kind: 'none' })
})
