import { EXIT_OF, throwAll } from '../../../src/errors.ts'
import { beforeAll, describe, expect, test } from 'vitest'
import type { LoadedCluster } from '../../../src/app/load.ts'
import { preflightErrors } from '../../../src/engine/operations/preflight.ts'
import type { Facts } from '../../../src/state/machine.ts'
import type { ObservedNode } from '../../../src/state/observed.ts'
import { clusterFor, NAMES } from '../../support/model-cluster.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'

let loaded: LoadedCluster
beforeAll(async () => {
  loaded = await clusterFor({})
})

const nodes = (): ObservedNode[] => NAMES.map((name, index) => observeModel(modelServer(name, 11 + index)))
const VIP = '192.0.2.200'
const STRANGER = '02:00:00:00:00:99'

/** Three healthy servers, of which the second differs like this. */
function withSecond(more: Partial<ObservedNode>, facts: Partial<Facts> = {}): ObservedNode[] {
  return nodes().map(node => (node.server === 'srv-2' ? { ...node, ...more, facts: { ...node.facts, ...facts } } : node))
}
const codesOf = (seen: readonly ObservedNode[], minded: 'locks' | 'no-locks' = 'locks') =>
  preflightErrors(loaded.cluster, seen, { minded }).map(error => `${error.code} ${EXIT_OF[error.code]} ${error.server}`)
const os = (id: string, like: string): Partial<Facts> => ({ os: { id, like, version: '1', codename: '', pretty: id } })
const lock = (ageSeconds: number) => ({ lock: { id: 'x', owner: 'eve@desk', reason: 'deploy', ageSeconds } })

test('a server where other users than root may change the check script is refused: keepalived would leave the check out', () => {
  const folder = (mode: string, owner: string, group: string) => ({ programFolders: [{ path: '/usr/local/bin', mode, owner, group }] })
  expect(codesOf(withSecond(folder('755', 'root', 'root')))).toEqual([])
  expect(codesOf(withSecond(folder('2775', 'root', 'staff')))).toEqual(['E_UNHEALTHY 5 srv-2'])
  const [error] = preflightErrors(loaded.cluster, withSecond(folder('755', 'deploy', 'root')), { minded: 'locks' })
  expect(error?.fix).toBe('on srv-2: chown root:root /usr/local/bin && chmod go-w /usr/local/bin')
  expect(error?.why).toEqual(['keepalived runs no check of haproxy from there'])
})

test("a server where other users may change the hooks' folders is refused: root runs the hooks", () => {
  const programFolders = ['/usr/local/lib', '/usr/local/lib/hactl'].map(path => ({ path, mode: '777', owner: 'root', group: 'root' }))
  const [error] = preflightErrors(loaded.cluster, withSecond({ programFolders }), { minded: 'locks' })
  expect(error?.message).toContain('every user may write to /usr/local/lib')
  expect(error?.why).toEqual([
    "other users can change programs of hactl's that root runs from there",
    "every user may write to /usr/local/lib/hactl: other users can change programs of hactl's that root runs from there",
  ])
  expect(error?.fix).toBe(
    'on srv-2: chown root:root /usr/local/lib && chmod go-w /usr/local/lib; chown root:root /usr/local/lib/hactl && chmod go-w /usr/local/lib/hactl',
  )
})

describe('servers pass', () => {
  test.for<[string, ObservedNode[]]>([
    ['when nothing is wrong with them', nodes()],
    ['when one is an Ubuntu', withSecond({}, os('ubuntu', 'debian'))],
    [
      'when one is a release that nobody knew yet',
      withSecond({}, { os: { id: 'ubuntu', like: 'debian', version: '30.04', codename: 'zany', pretty: 'Ubuntu 30.04 LTS' } }),
    ],
    ['when one is another child of Debian', withSecond({}, os('devuan', 'ubuntu debian'))],
    ['when clones share a machine id but not a network card', withSecond({}, { machineId: 'srv-1' })],
    ['when a lock has expired', withSecond(lock(60))],
    ['when one of themselves answers for the address', withSecond({ neighbours: [{ address: VIP, linkAddress: '02:00:00:00:00:01' }] })],
    ['when a stranger answers for another address', withSecond({ neighbours: [{ address: '192.0.2.201', linkAddress: STRANGER }] })],
  ])('%s', ([, seen]) => {
    expect(codesOf(seen)).toEqual([])
  })

  test('when a server holds the address and the neighbour table still has an unknown machine', () => {
    const [first, ...rest] = withSecond({ neighbours: [{ address: VIP, linkAddress: STRANGER }] })
    expect(codesOf([observeModel(modelServer('srv-1', 11), [VIP]), ...rest])).toEqual([])
    expect(first?.server).toBe('srv-1')
  })
})

describe('a server is refused', () => {
  test.for<[string, ObservedNode[], string]>([
    ['that is no Debian', withSecond({}, os('alpine', '')), 'E_OS_UNSUPPORTED 5 srv-2'],
    ['that has no dpkg', withSecond({}, { dpkg: false }), 'E_OS_UNSUPPORTED 5 srv-2'],
    ['that systemd did not boot', withSecond({}, { systemd: false }), 'E_NO_SYSTEMD 5 srv-2'],
    ['on which hactl is not root', withSecond({}, { uid: 1000 }), 'E_SUDO 4 srv-2'],
    [
      'that is another one by a second name',
      withSecond({}, { machineId: 'srv-1', linkAddresses: ['02:00:00:00:00:01'] }),
      'E_SAME_MACHINE 5 srv-2',
    ],
    ['that sees a stranger with the address', withSecond({ neighbours: [{ address: VIP, linkAddress: STRANGER }] }), 'E_VIP_TAKEN 5 srv-2'],
    ['on which another run works', withSecond(lock(7)), 'E_LOCKED 5 srv-2'],
  ])('%s', ([, seen, expected]) => {
    expect(codesOf(seen)).toEqual([expected])
  })
})

test('a lock does not prevent a look', () => {
  expect(codesOf(withSecond(lock(7)), 'no-locks')).toEqual([])
})

test('with a server left out no machine is called unknown: it may be that server', () => {
  expect(codesOf(withSecond({ neighbours: [{ address: VIP, linkAddress: STRANGER }] }).slice(0, 2))).toEqual([])
})

test('all reasons of all servers are reported together, and the most serious counts', () => {
  const bad = nodes().map(node => ({ ...node, facts: { ...node.facts, dpkg: false } }))
  expect(() => throwAll(preflightErrors(loaded.cluster, bad, { minded: 'locks' }))).toThrow('3 problems')
})
