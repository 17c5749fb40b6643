import { expect, test } from 'vitest'
import { clusterIssues } from '../../../src/domain/vrrp/cluster-issues.ts'
import { clusterWith, HAPROXY } from '../example.ts'

const bound = (...bind: readonly string[]) => {
  const [web] = HAPROXY.frontends ?? []
  if (web === undefined) throw new Error('the example has no frontend')
  return clusterIssues(clusterWith({}, { haproxy: { ...HAPROXY, frontends: [{ ...web, bind }] } })).warnings
}

test('a port that is bound only to another address than the virtual one is reported: the probe would get no answer', () => {
  expect(bound('192.0.2.55:80')).toEqual([
    {
      path: 'haproxy.frontends',
      message: 'nothing listens on 192.0.2.200, port 80, where gates and drills ask: it is bound to 192.0.2.55 only',
      fix: 'bind :80 or 192.0.2.200:80, or set probe.port to a port that clients of 192.0.2.200 use',
    },
  ])
})

test.each([[[':80']], [['*:80']], [['192.0.2.200:80']], [['192.0.2.55:80', '192.0.2.200:80']], [['192.0.2.55:80', ':80']]])(
  'nothing is said of %j',
  bind => {
    expect(bound(...bind)).toEqual([])
  },
)
