import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Need } from '../../../src/domain/firewall/needs.ts'
import { openingFor } from '../../../src/domain/firewall/open.ts'
import type { ObservedFirewall } from '../../../src/state.ts'

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
const NONE: ObservedFirewall = {
  ufw: undefined,
  firewalld: false,
  netfilterPersistent: false,
  nft: undefined,
  iptables: undefined,
  ufwRules: [],
}
const NFT = { ...NONE, nft: fixture('nftables-policy-drop.json') }
const UFW = { ...NONE, ufw: '0.36.2-1', iptables: fixture('ufw.iptables-save') }
const IPTABLES = {
  ...NONE,
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
  test('exactly what is missing is let through, by a script that sh takes', () => {
    const { titles, script, isOpen } = opened(shut)
    expect(titles).toEqual(['VRRP from 192.0.2.13', 'TCP to port 80'])
    expect(script).toContain(rule)
    expect(script).not.toContain('192.0.2.11')
    expect(isOpen).toBe(false)
    expect(() => execFileSync('sh', ['-n'], { input: script })).not.toThrow()
  })

  test('once it is open, the same is wanted and nothing is missing', () => {
    expect(opened(open)).toEqual({ ...opened(shut), isOpen: true })
  })
})

test('rules that nothing loads again at boot come back with a unit; ufw keeps its own', () => {
  expect(opened(NFT).unit).toContain('ReloadPropagatedFrom=nftables.service')
  expect(opened(UFW).unit).toBeUndefined()
  expect(opened({ ...NFT, nft: ownNft() }).isOpen).toBe(false)
})

test.for<[string, ObservedFirewall, RegExp]>([
  ['firewalld, which keeps its rules itself', { ...NONE, firewalld: true, iptables: IPTABLES.iptables }, /firewalld/],
  ['ufw that does not know the protocol', { ...UFW, ufw: '0.36-7.1' }, /before\.rules/],
  ['rules that cannot be read', { ...NONE, nft: '{' }, /could not be read/],
  [
    'a chain with a name that is no plain word',
    {
      ...NONE,
      iptables: undefined,
      nft: NFT.nft.replaceAll('"input"', '"in;reboot"').replaceAll('"hook": "in;reboot"', '"hook": "input"'),
    },
    /name/,
  ],
])('not opened: %s', ([, firewall, why]) => {
  expect(openingFor(firewall, NEEDS)).toMatchObject({ kind: 'impossible', why: expect.stringMatching(why) as unknown })
})

test('where all of it passes there is nothing to open', () => {
  expect(openingFor(NONE, NEEDS)).toEqual({ kind: 'none' })
  expect(openingFor(NFT, [from('192.0.2.11')])).toEqual({ kind: 'none' })
})
