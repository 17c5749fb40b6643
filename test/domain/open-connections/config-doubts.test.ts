import { describe, expect, test } from 'vitest'
import { clusterIssues } from '../../../src/domain/vrrp/cluster-issues.ts'
import { clusterWith, HAPROXY } from '../example.ts'

const clusterOf = (text: string, more: Parameters<typeof clusterWith>[1] = {}) => {
  const cluster = clusterWith({ virtual_ipaddress: ['192.0.2.200/24'] }, more)
  return { ...cluster, haproxyConfig: { ...cluster.haproxyConfig, verbatim: true, text } }
}
const doubts = (text: string) => clusterIssues(clusterOf(text)).warnings.map(({ path, message }) => `${path}: ${message}`)

describe('a mark of the operator on a port that is bound by name', () => {
  const web = (bind: string, rule: string) => `frontend web\n bind ${bind}\n ${rule}\n default_backend app\nbackend app\n`
  const RESET = 'is known: once an address has moved, such a connection is reset after 5 s'

  test.each([
    ['http-request set-mark 0x1 if { path /a }', 'set-mark 0x1'],
    ['tcp-request connection set-mark 20', 'set-mark 20'],
    ['http-request set-fc-mark int(1)', 'set-fc-mark int(1)'],
  ])('%s is reported', (rule, action) => {
    expect(doubts(web('192.0.2.200:80', rule))).toEqual([
      `haproxy.config: frontend web: ${action} takes away the mark by which a connection to a port that is bound to an address (80) ${RESET}`,
    ])
  })

  test('is reported in a backend, to which any frontend may send', () => {
    expect(doubts(`${web('192.0.2.200:80', '')} http-request set-mark 1\n`)[0]).toContain('backend app: set-mark 1')
  })

  test.each([
    [':80', 'http-request set-mark 0x1'],
    ['192.0.2.200:80', 'http-request set-mark 0x40000001'],
    ['192.0.2.200:80', 'http-request set-bc-mark 0x1'],
    ['192.0.2.200:80', 'http-request set-header X-Mark set-mark'],
    ['127.0.0.1:80', 'http-request set-mark 0x1'],
  ])('is not there with bind %s and %s', (bind, rule) => {
    expect(doubts(web(bind, rule)).filter(text => text.includes('takes away the mark'))).toEqual([])
  })
})

test.each([
  [':"$PORT"', ':$PORT'],
  ['192.0.2.200:80,:${PORT}', ':${PORT}'],
])('a bind that does not say its port is reported: %s', (bind, word) => {
  expect(doubts(`frontend web\n bind :80\n bind ${bind}\n`)).toEqual([
    `haproxy.config: frontend web: "bind ${word}" does not say its port, so hactl takes every TCP port for one of haproxy's: while connections of before a move are open, connections to ports that docker publishes or a rule redirects are reset`,
  ])
})

test('a bind without any port hides none', () => {
  expect(doubts('frontend web\n bind :80\n bind unix@/run/x.sock\n bind rhttp@app/s1\n')).toEqual([])
})

test('what the inventory itself says is named by its key', () => {
  const [web] = HAPROXY.frontends ?? []
  const [app] = HAPROXY.backends ?? []
  if (web === undefined || app === undefined) throw new Error('the example has none')
  const source = ['source 192.0.2.200']
  const haproxy = {
    defaults: source,
    frontends: [{ ...web, bind: ['192.0.2.200:80'], lines: ['http-request set-mark 1'] }],
    backends: [{ ...app, lines: source }],
  }
  const paths = clusterIssues(clusterWith({}, { haproxy })).warnings.map(({ path }) => path)
  expect(paths).toEqual(['haproxy.frontends', 'haproxy.defaults', 'haproxy.backends'])
})

describe('the source of connections to a backend', () => {
  const CUT = 'a move cuts them, and with them the clients that it should keep'

  test.each([
    ['backend app\n source 192.0.2.200\n', 'backend app'],
    ['backend app\n source ipv4@192.0.2.200:1024-2048 interface eth0\n', 'backend app'],
    ['backend app\n server s1 192.0.2.111:80 check source 192.0.2.200\n', 'backend app'],
    ['defaults\n source 192.0.2.200\n', 'defaults'],
    ['listen app\n bind :80\n default-server source 192.0.2.200:0\n server source 192.0.2.111:80\n', 'listen app'],
  ])('is reported where it is a virtual address: %j', (text, section) => {
    expect(doubts(text).map(line => line.replace(/^haproxy[.]config: /, ''))).toEqual([
      `${section}: connections to its servers come from 192.0.2.200, a virtual address: ${CUT}`,
    ])
  })

  test('is reported where it is the client', () => {
    expect(doubts('backend app\n source 0.0.0.0 usesrc clientip\n server s1 192.0.2.111:80 source 192.0.2.11 usesrc client\n')).toEqual([
      `haproxy.config: backend app: usesrc: where its servers answer these connections by way of a virtual address, ${CUT}`,
    ])
  })

  test.each(['2001:db8::200', '[2001:db8::200]:1024', 'ipv6@2001:DB8::200'])('is reported for IPv6: %s', source => {
    const cluster = clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] })
    const text = `backend app\n source ${source}\n`
    const { warnings } = clusterIssues({ ...cluster, haproxyConfig: { ...cluster.haproxyConfig, text } })
    expect(warnings.map(({ message }) => message).join()).toContain('come from 2001:db8::200, a virtual address')
  })

  test.each(['source 192.0.2.11', 'source 192.0.2.20', 'server source 192.0.2.200:80', '# source 192.0.2.200', 'source "$ADDRESS"'])(
    'is not reported for %s',
    line => {
      expect(doubts(`backend app\n ${line}\n`)).toEqual([])
    },
  )
})

test('nothing of it is said where the inventory keeps no connections', () => {
  const text = 'listen a\n bind 192.0.2.200:80\n bind :${PORT}\n http-request set-mark 1\n source 192.0.2.200\n'
  expect(clusterIssues(clusterOf(text, { open_connections: 'reset' })).warnings).toEqual([])
  expect(clusterIssues(clusterOf(text)).warnings).toHaveLength(3)
})
