/** What an unlock may say of servers whose connections are lost, on folders for servers. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { unlock } from '../../src/app/unlock.ts'
import { INVENTORY_PATH } from '../support/memory-ports.ts'
import { connectionLost } from '../support/remote.ts'
import { type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'

vi.setConfig({ testTimeout: 60_000 })

describe('an unlock', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  beforeEach(() => {
    cluster = shellCluster()
    for (const server of cluster.servers) server.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')
  })
  afterEach(() => cluster.remove())

  const run = () => unlock({ inventoryPath: INVENTORY_PATH, force: true, limit: [], forks: 8, timeoutMs: 1000 }, cluster.ports)
  const locked = () => cluster.servers.map(server => server.read('/var/lib/hactl/lock/info') !== undefined)

  test.for([
    ['looks has changed nothing there', 'read the facts of this server', 4],
    ['breaks the lock may have broken it', 'break the lock', 6],
  ] as const)('that loses a connection while it %s, and frees the other servers', async ([, lost, exit]) => {
    const [, second] = cluster.servers
    if (second !== undefined)
      second.before = ({ label }) => {
        if (label === lost) throw connectionLost('srv-2')
        return undefined
      }
    await expect(run()).rejects.toMatchObject({ code: 'E_CONNECTION_LOST', exit, server: 'srv-2' })
    expect(locked()).toEqual([false, true, false])
  })

  test('tells whose locks it broke', async () => {
    const { servers } = await run()
    expect(servers.map(({ name, lock, released }) => [name, lock?.owner, released])).toEqual(
      ['srv-1', 'srv-2', 'srv-3'].map(name => [name, 'ops@laptop', true]),
    )
    expect(locked()).toEqual([false, false, false])
  })
})
