/** What the servers hear from each other, as findings of a deploy. */
import { expect, test } from 'vitest'
import { assertNothingFailed, CHECK_WIRE, preflightFindings, wirePreflight } from '../../../src/engine/operations/preflight.ts'
import type { OnEvent } from '../../../src/engine/operations/run.ts'
import { NO_FIREWALL } from '../../support/firewalls.ts'
import { memoryPorts } from '../../support/memory-ports.ts'
import { clusterFor, NAMES } from '../../support/model-cluster.ts'
import { modelServer, observeModel } from '../../support/model-server.ts'
import { fakeSession, fixedLinks } from '../../support/remote.ts'

const ADDRESSES = ['192.0.2.11', '192.0.2.12', '192.0.2.13']

/** Servers that hear each other's VRRP. `drops`: whether packets of strangers arrive at srv-2. */
async function tried(drops: boolean) {
  const { cluster } = await clusterFor({})
  const nodes = NAMES.map((name, index) => ({
    ...observeModel(modelServer(name, 11 + index)),
    clockAheadMs: 0,
    listeners: [],
    firewall: NO_FIREWALL,
  }))
  const sessions = NAMES.map(name =>
    fakeSession(name, [
      {
        when: /./,
        reply: ({ options }) => {
          const words = options.label.includes('VRRP')
            ? ['wire', 'passed', 'mac']
            : drops && name === 'srv-2'
              ? ['met']
              : ['met', 'carried']
          const heard = words.flatMap(word => ADDRESSES.map(address => `0 ${word} ${address}`))
          return { stdout: [...heard, '0 end', ''].join('\n') }
        },
      },
    ]),
  )
  const before = preflightFindings(cluster, nodes, { minded: 'locks' })
  const links = fixedLinks(sessions)
  const run = {
    cluster,
    nodes,
    links,
    observed: new Map(nodes.map(node => [node.server, node])),
    ports: memoryPorts(new Map()),
    onEvent: () => {},
    claim: () => ({ id: 'run-1', owner: 'eve@desk', reason: 'deploy' }),
  }
  const after = await wirePreflight(run, CHECK_WIRE, before)
  return { before, after, asked: sessions.map(session => session.sent.length) }
}
const connections = (findings: Awaited<ReturnType<typeof tried>>['after']) =>
  findings.filter(one => one.check === 'connections').map(one => `${one.server} ${one.verdict}`)

test('servers are asked for VRRP and for packets of strangers, once where all arrives', async () => {
  const { after, asked } = await tried(false)
  expect(asked).toEqual([2, 2, 2])
  expect(connections(after)).toEqual(['srv-1 passed', 'srv-2 passed', 'srv-3 passed'])
})

test('where such packets do not arrive, the servers are asked once more, and the server has one line', async () => {
  const { after, asked } = await tried(true)
  expect(asked).toEqual([4, 4, 4])
  expect(connections(after)).toEqual(['srv-1 passed', 'srv-3 passed', 'srv-2 warning'])
})

test('a deploy warns of what only the wire has shown, and of nothing twice', async () => {
  const { before, after } = await tried(true)
  const warnings: string[] = []
  const note: OnEvent = event => {
    if (event.kind === 'warning') warnings.push(event.text)
  }
  assertNothingFailed(after, note, before)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatch(/^packets with a client's IPv4 address do not arrive from srv-3 and srv-1 on eth0: .*port security/)
  assertNothingFailed(after, note, after)
  expect(warnings).toHaveLength(1)
})
