/** Servers that join a running cluster and leave it: whole deploys. Three folders are the servers. */
import { describe, expect, test, vi } from 'vitest'
import { forgetMembersScript } from '../../src/engine/apply/remove.ts'
import { deployedCluster } from '../support/deployed.ts'
import { unlessLacking } from '../support/lacking.ts'
import { INVENTORY, type ShellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const THIRD = '  - { name: srv-3, host: 192.0.2.13 }\n'
const TWO_SERVERS = INVENTORY.replace(THIRD, '')

describe('a cluster', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  // srv-3 is bare.
  deployedCluster(next => (cluster = next), TWO_SERVERS)
  const switched = () => cluster.servers.map(({ ran }) => ran.filter(label => label === 'make the changes live').length)
  const waves = () => cluster.events.flatMap(event => (event.kind === 'wave-started' ? [event.servers] : []))

  test('lets a server join only once the others know it', async () => {
    cluster.files.set('inventory.yml', INVENTORY)
    await cluster.deploy()
    expect(waves()).toEqual([['srv-1', 'srv-2'], ['srv-3']])
    expect((await cluster.plan()).plan.waves).toEqual([])
  })

  test('refuses a server that --limit would let join alone, and changes nothing', async () => {
    cluster.files.set('inventory.yml', INVENTORY)
    const before = switched()
    const error = await cluster.failedDeploy({ limit: ['srv-3'] })
    expect(error).toMatchObject({ code: 'E_UNKNOWN_TO_PEERS', exit: 5 })
    expect(error.why).toEqual(['srv-1', 'srv-2'].map(name => expect.stringMatching(new RegExp(`^${name} does not know srv-3`))))
    expect(switched()).toEqual(before)
    // First the servers that must know the new one, then the new one.
    await cluster.deploy({ limit: ['srv-1', 'srv-2'] })
    await cluster.deploy({ limit: ['srv-3'] })
    expect((await cluster.plan()).plan.waves).toEqual([])
  })

  test('refuses a change that peers compare where --limit leaves a running one out, and makes it where that one is stopped', async () => {
    const changed = TWO_SERVERS.replace('virtual_router_id: 66,', 'virtual_router_id: 66, version: 2, advert_int: 1,')
    cluster.files.set('inventory.yml', changed)
    const before = switched()
    const error = await cluster.failedDeploy({ limit: ['srv-1'] })
    expect(error).toMatchObject({ code: 'E_UNKNOWN_TO_PEERS', exit: 5 })
    expect(error.why).toEqual([
      expect.stringMatching(/^srv-2 keeps a configuration that srv-1 is to give up: VRRP1: a different VRRP version/),
    ])
    expect(switched()).toEqual(before)
    cluster.servers[1]?.remove('/world/units/keepalived/active')
    await cluster.deploy({ limit: ['srv-1'] })
    // It is brought up to date, and gives up only what no other server has any more.
    await cluster.deploy({ limit: ['srv-2'] })
    expect((await cluster.plan(cluster.servers.slice(0, 2))).plan.waves).toEqual([])
  })

  test('undoes a new server that cannot join, and keeps the others running', async () => {
    cluster.files.set('inventory.yml', INVENTORY)
    const third = cluster.servers[2]
    if (third === undefined) throw new Error('three servers')
    third.before = ({ label }) =>
      label === 'make the changes live' ? { code: 1, stdout: '@@fail service/keepalived no\n', stderr: '' } : undefined
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_COMMAND_FAILED', exit: 6, server: 'srv-3' })
    expect(third.read('/world/units/keepalived/active')).toBeUndefined()
    expect(cluster.servers.slice(0, 2).map(each => each.read('/world/units/keepalived/active'))).not.toContain(undefined)
  })

  test('refuses a deploy without a former member, which may still run, until it is removed or forgotten', async () => {
    cluster.files.set('inventory.yml', INVENTORY)
    await cluster.deploy()
    cluster.files.set('inventory.yml', TWO_SERVERS)
    const before = switched()
    const error = await cluster.failedDeploy()
    expect(error).toMatchObject({ code: 'E_FORMER_MEMBER', exit: 5 })
    expect(error.message).toContain('srv-3 (192.0.2.13)')
    expect(error.fix).toMatch(/hactl remove --limit srv-3 .*hactl deploy --forget srv-3/)
    expect(switched()).toEqual(before)
    await cluster.deploy({ forget: ['srv-3'] })
    const present = await cluster.failedDeploy({ forget: ['srv-1'] })
    expect(present).toMatchObject({ code: 'E_USAGE', message: '--forget names srv-1, which the inventory has' })
    // The question is not asked again.
    await cluster.deploy()
    expect((await cluster.plan(cluster.servers.slice(0, 2))).plan.waves).toEqual([])
  })

  test('whose member was removed goes on without it', async () => {
    cluster.files.set('inventory.yml', INVENTORY)
    await cluster.deploy()
    for (const server of cluster.servers.slice(0, 2)) {
      server.write('/var/lib/hactl/lock/info', 'id lock-1\n')
      const { code } = await server.session.run(forgetMembersScript('lock-1', ['srv-3 192.0.2.13'], { patience: 1, stopMs: 0 }), {
        effect: 'none',
        label: 'forget',
        deadlineMs: 5000,
      })
      expect(code).toBe(0)
    }
    for (const server of cluster.servers.slice(0, 2)) server.remove('/var/lib/hactl/lock')
    // While it is in the inventory it is deployed again. Once it is not, its peers forget it.
    expect(
      (await cluster.plan(cluster.servers.slice(0, 1))).plan.servers[0]?.actions.map(({ id, ...more }) => [
        id,
        'reason' in more && more.reason,
      ]),
    ).toEqual([['file/members', 'content differs']])
    cluster.files.set('inventory.yml', TWO_SERVERS)
    const report = await cluster.deploy()
    expect(report.servers.map(({ changed }) => changed)).toEqual(Array(2).fill(['file/keepalived.conf', 'service/keepalived']))
  })
})
