import { describe, expect, test } from 'vitest'
import { blockedNeeds, chainsOf, firewallNeeds, openingCommands } from '../../../src/domain/firewall/needs.ts'
import { openingFor } from '../../../src/domain/firewall/open.ts'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import { openConnectionsNeeds } from '../../../src/domain/open-connections/needs.ts'
import { firewallFinding } from '../../../src/domain/preflight/firewall.ts'
import type { ObservedFirewall } from '../../../src/state/network.ts'
import { NO_FIREWALL } from '../../support/firewalls.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { addresses, classicWith, clusterWith, factsOf, observed } from '../example.ts'

const cluster = clusterWith()
const facts = factsOf(cluster)['srv-1']
if (facts === undefined) throw new Error('no srv-1')
const NEEDS = firewallNeeds(cluster, 'srv-1', facts).filter(need => need.title.endsWith('(open connections)'))

test('announcements, probes and copies must get out, and a server that keeps no connections needs none of it', () => {
  expect(NEEDS.map(({ title }) => title.replace(' (open connections)', ''))).toEqual([
    'UDP 8945 to 192.0.2.12',
    'UDP 8945 to 192.0.2.13',
    'UDP 8945 to 127.0.0.1',
    'UDP 8945 to 192.0.2.200',
    'TCP to 192.0.2.200',
  ])
  expect(NEEDS.every(({ isVital, packet }) => !isVital && packet.hook === 'output')).toBe(true)
  const classic = classicWith()
  expect(openConnectionsNeeds(classic, 'srv-1', factsOf(classic)['srv-1'] ?? facts)).toEqual([])
})

test('an IPv6 instance has the same needs, of its own family', () => {
  const v6 = clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] })
  const nodes = v6.servers.map((one, index) => [one.name, observed(addresses(`eth0 2001:db8::1${index + 1}/64`))] as const)
  const own = nodeFactsFor(v6, Object.fromEntries(nodes))['srv-1'] ?? facts
  const needs = openConnectionsNeeds(v6, 'srv-1', own)
  expect(needs.map(({ packet }) => [packet.family, packet.destination])).toEqual([
    [6, '2001:db8::12'],
    [6, '2001:db8::13'],
    [6, '::1'],
    [6, '2001:db8::200'],
    [6, '2001:db8::200'],
  ])
})

const iptables = (...rules: readonly string[]): ObservedFirewall => ({
  ...NO_FIREWALL,
  iptables: `*filter\n:OUTPUT DROP [0:0]\n${rules.map(rule => `-A OUTPUT ${rule}\n`).join('')}COMMIT\n`,
})
const blockedIn = (firewall: ObservedFirewall) =>
  blockedNeeds(firewall, chainsOf(firewall) ?? [], NEEDS).map(({ need }) => need.title.replace(' (open connections)', ''))

describe('a policy of drop for what goes out', () => {
  test.for<[string, readonly string[], readonly string[]]>([
    [
      'lets nothing out, although replies and new connections pass',
      ['-o lo -j ACCEPT', '-p tcp -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT'],
      ['UDP 8945 to 192.0.2.12', 'UDP 8945 to 192.0.2.13', 'UDP 8945 to 192.0.2.200', 'TCP to 192.0.2.200'],
    ],
    [
      'lets copies out by their state',
      ['-o lo -j ACCEPT', '-m conntrack --ctstate UNTRACKED -j ACCEPT'],
      ['UDP 8945 to 192.0.2.12', 'UDP 8945 to 192.0.2.13'],
    ],
    ['lets the segment be reached', ['-o lo -j ACCEPT', '-d 192.0.2.0/24 -j ACCEPT'], []],
    ['may let them out by a rule that nobody understands', ['-m owner --uid-owner 0 -j ACCEPT'], []],
  ])('%s', ([, rules, expected]) => {
    expect(blockedIn(iptables(...rules))).toEqual(expected)
  })

  test('a rule against invalid packets does not stop copies', () => {
    const firewall = {
      ...NO_FIREWALL,
      iptables: '*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n',
    }
    expect(blockedIn(firewall)).toEqual([])
  })
})

const chain = { family: 'inet', table: 'filter', name: 'out', type: 'filter', hook: 'output', prio: 0, policy: 'drop' }
const NFT = { ...NO_FIREWALL, nft: JSON.stringify({ nftables: [{ chain }] }) }
const UFW = {
  ...NO_FIREWALL,
  ufw: '0.36.2-1',
  iptables: '*filter\n:OUTPUT DROP [0:0]\n:ufw-user-output - [0:0]\n-A OUTPUT -j ufw-user-output\nCOMMIT\n',
}

test('what stops them is a warning; one that hactl does not open says so', () => {
  const node = observeModel(modelServer('srv-1', 11))
  const vrrp = ['192.0.2.12', '192.0.2.13'].map(peer => `-d ${peer}/32 -p vrrp -j ACCEPT`)
  const shut = { ...node, firewall: iptables('-o lo -j ACCEPT', ...vrrp) }
  expect(firewallFinding(cluster, shut, facts)).toMatchObject({
    verdict: 'warning',
    found:
      'its firewall (iptables) stops UDP 8945 to 192.0.2.12 (open connections), UDP 8945 to 192.0.2.13 (open connections), ' +
      'UDP 8945 to 192.0.2.200 (open connections), TCP to 192.0.2.200 (open connections)',
  })
  const open = clusterWith({}, { firewall: 'open' })
  expect(firewallFinding(open, shut, facts)).toMatchObject({
    verdict: 'passed',
    found: expect.stringMatching(/will be opened$/) as unknown,
  })
  const firewalld = { ...shut, firewall: { ...shut.firewall, firewalld: true } }
  expect(firewallFinding(open, firewalld, facts)).toMatchObject({
    verdict: 'warning',
    found: expect.stringMatching(/; hactl does not open it: firewalld manages its rules itself$/) as unknown,
    fix: 'firewall-cmd --list-all-policies shows what stops packets on their way out',
  })
})

describe('firewall: open', () => {
  test.for<[string, ObservedFirewall, readonly string[], RegExp]>([
    [
      'nftables',
      NFT,
      [
        'insert rule inet filter out ip daddr 192.0.2.12 udp dport 8945 accept comment "hactl"',
        'insert rule inet filter out ip daddr 127.0.0.1 udp dport 8945 accept comment "hactl"',
        'insert rule inet filter out ip daddr 192.0.2.200 ip protocol 6 accept comment "hactl"',
      ],
      /nft insert rule inet filter out ip daddr 192\.0\.2\.200 ip protocol 6 accept/,
    ],
    [
      'iptables',
      iptables(),
      ['OUTPUT -d 192.0.2.12 -p udp --dport 8945', 'OUTPUT -d 192.0.2.200 -p tcp'],
      /iptables -I OUTPUT -d 192\.0\.2\.200 -p tcp -j ACCEPT/,
    ],
    [
      'ufw',
      UFW,
      ['allow out to 192.0.2.12 port 8945 proto udp', 'allow out to 192.0.2.200 proto tcp'],
      /ufw allow out to 192\.0\.2\.200 proto tcp/,
    ],
  ])('lets them out with %s, and says what to type', ([, firewall, rules, command]) => {
    const opening = openingFor(firewall, NEEDS)
    if (opening.kind !== 'open') throw new Error(JSON.stringify(opening))
    expect(opening.titles).toHaveLength(5)
    for (const rule of rules) expect(opening.script).toContain(rule)
    expect(openingCommands(firewall, blockedNeeds(firewall, chainsOf(firewall) ?? [], NEEDS)).join('; ')).toMatch(command)
  })

  test.for<[string, ObservedFirewall, ObservedFirewall]>([
    [
      'nftables',
      NFT,
      {
        ...NFT,
        opensAtBoot: true,
        nft: JSON.stringify({
          nftables: [
            { chain },
            ...NEEDS.map(({ packet: { protocol, destination } }) => ({
              rule: {
                family: 'inet',
                table: 'filter',
                chain: 'out',
                comment: 'hactl',
                expr: [
                  { match: { op: '==', left: { payload: { protocol: 'ip', field: 'daddr' } }, right: destination } },
                  protocol === 17
                    ? { match: { op: '==', left: { payload: { protocol: 'udp', field: 'dport' } }, right: 8945 } }
                    : { match: { op: '==', left: { payload: { protocol: 'ip', field: 'protocol' } }, right: 'tcp' } },
                  { accept: null },
                ],
              },
            })),
          ],
        }),
      },
    ],
    [
      'iptables',
      iptables(),
      {
        ...iptables(
          ...NEEDS.map(
            ({ packet: { protocol, destination } }) =>
              `-d ${destination}/32 -p ${protocol === 17 ? 'udp -m udp --dport 8945' : 'tcp'} -m comment --comment hactl -j ACCEPT`,
          ),
        ),
        opensAtBoot: true,
      },
    ],
    [
      'ufw',
      UFW,
      {
        ...UFW,
        iptables: UFW.iptables.replace(
          'COMMIT',
          `${NEEDS.map(
            ({ packet: { protocol, destination } }) =>
              `-A ufw-user-output -d ${destination}/32 -p ${protocol === 17 ? 'udp -m udp --dport 8945' : 'tcp'} -j ACCEPT\n`,
          ).join('')}COMMIT`,
        ),
        ufwRules: NEEDS.map(
          ({ packet: { protocol, destination } }) =>
            `### tuple ### allow ${protocol === 17 ? 'udp 8945' : 'tcp any'} ${destination} any 0.0.0.0/0 out comment=686163746c`,
        ),
      },
    ],
  ])('with %s, what is open is wanted again and nothing is missing', ([, shut, open]) => {
    const opening = openingFor(shut, NEEDS)
    expect(opening).toMatchObject({ kind: 'open', isOpen: false })
    expect(openingFor(open, NEEDS)).toEqual({ ...opening, isOpen: true })
  })
})
