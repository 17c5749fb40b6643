import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { sourceText } from '../../../src/shell/library.ts'
import { askAtOnce } from '../../../src/engine/wire/at-once.ts'
import { mergeWire, parseWire, VRRP_QUESTION, wireScript } from '../../../src/engine/wire/wire.ts'
import type { Session } from '../../../src/ports.ts'
import type { WireLink } from '../../../src/state/wire.ts'
import { fixedLinks } from '../../support/remote.ts'

const LINK: WireLink = { interface: 'eth0', address: '192.0.2.12', multicast: false, peers: ['192.0.2.11', '192.0.2.13'], mayRefuse: true }
const OTHER: WireLink = { ...LINK, interface: 'eth1', address: '198.51.100.12', peers: ['198.51.100.11'] }
const TIMES = { leastMs: 1500, mostMs: 4000 }
const ANSWER = [
  '0 out 192.0.2.11 ok',
  '0 out 192.0.2.13 Operation not permitted',
  '0 wire 192.0.2.11',
  '0 wire 192.0.2.13',
  '0 passed 192.0.2.11',
  '0 mac 192.0.2.11 02:00:00:00:00:01',
  '0 foreign 192.0.2.77 66 3 100',
  '1 wire 198.51.100.11',
  '0 end',
  '',
].join('\n')

test('the programs are valid Perl, and use only modules of perl-base', () => {
  for (const program of [sourceText('arp-probe.pl'), sourceText('wire-probe.pl'), sourceText('carry-probe.pl')]) {
    expect(() => execFileSync('perl', ['-c', '-e', program], { stdio: 'pipe' })).not.toThrow()
    expect([...program.matchAll(/^use (.*)$/gm)].map(found => found[1])).toEqual(['strict; use warnings; use Socket;'])
  }
})

test('every network has its own answer, and one that was cut off does not count', () => {
  const [first, second] = parseWire(ANSWER, [LINK, OTHER])
  expect(first).toEqual({
    link: LINK,
    arrived: ['192.0.2.11', '192.0.2.13'],
    passed: ['192.0.2.11'],
    neighbours: ['192.0.2.11'],
    refused: { '192.0.2.13': 'Operation not permitted' },
    routers: [{ address: '192.0.2.77', virtualRouterId: 66 }],
  })
  expect(second).toBeUndefined()
})

test('a server that was heard at one of two times counts as heard', () => {
  const first = parseWire(ANSWER, [LINK])
  const second = parseWire('0 wire 192.0.2.13\n0 passed 192.0.2.13\n0 foreign 192.0.2.77 66 3 100\n0 end\n', [LINK])
  const [both] = mergeWire(first, second)
  expect(both?.passed).toEqual(['192.0.2.11', '192.0.2.13'])
  expect(both?.routers).toHaveLength(1)
  expect(mergeWire([undefined], second)).toEqual(second)
  expect(mergeWire(first, [])).toEqual(first)
})

test('words of the inventory and of servers stay quoted words', () => {
  const hostile = { ...LINK, interface: "eth0'; reboot #", peers: ['$(reboot)'] }
  const { raw } = wireScript([hostile], 'mark', TIMES)
  const out = execFileSync('sh', ['-c', `perl() { shift 2; printf '<%s>' "$@"; }\n${raw}`], { encoding: 'utf8' })
  expect(out).toContain("<eth0'; reboot #><192.0.2.12><mark><1.5><4><0><1><$(reboot)>")
})

test('servers without a network to try are not asked', async () => {
  const asked: string[] = []
  const session = (server: string): Session => ({
    server,
    peer: server,
    patience: 1,
    run: async () => {
      asked.push(server)
      return { code: 0, stdout: '0 end\n', stderr: '', durationMs: 1 }
    },
    close: async () => {},
  })
  const links = fixedLinks(['srv-1', 'srv-2'].map(session))
  const linksOf = (name: string) => (name === 'srv-1' ? [LINK] : [])
  const seen = await askAtOnce({
    links,
    linksOf,
    question: VRRP_QUESTION,
    mark: 'mark',
    times: TIMES,
    signal: new AbortController().signal,
  })
  expect(asked).toEqual(['srv-1'])
  expect(seen.get('srv-2')).toEqual([])
  expect(seen.get('srv-1')).toHaveLength(1)
})

test('a server that is slow, or far away, is listened to for as many times longer', async () => {
  const scripts: string[] = []
  const session: Session = {
    server: 'srv-1',
    peer: 'srv-1',
    patience: 3,
    run: async script => {
      scripts.push(script.raw)
      return { code: 0, stdout: '0 end\n', stderr: '', durationMs: 1 }
    },
    close: async () => {},
  }
  const times = { leastMs: 2000, mostMs: 4000 }
  const signal = new AbortController().signal
  await askAtOnce({ links: fixedLinks([session]), linksOf: () => [LINK], question: VRRP_QUESTION, mark: 'mark', times, signal })
  expect(scripts).toEqual([wireScript([LINK], 'mark', { leastMs: 2000, mostMs: 12_000 }).raw])
})
