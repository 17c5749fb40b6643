/** What unlock says of servers whose connections are lost. Folders are the servers. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { unlock } from '../../src/app/unlock.ts'
import { INVENTORY_PATH } from '../support/memory-ports.ts'
import { failureOf } from '../support/failure.ts'
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

  const run = (ports = cluster.newRun()) =>
    unlock({ inventoryPath: INVENTORY_PATH, force: true, limit: [], forks: 8, timeoutMs: 1000 }, ports)
  const locked = () => cluster.servers.map(server => server.read('/var/lib/hactl/lock/info') !== undefined)

  test.for([
    ['looks', 'read the facts of this server'],
    ['breaks the lock', 'break the lock'],
  ] as const)('that loses a connection while it %s has changed nothing but locks, 4, and frees the other servers', async ([, lost]) => {
    const [, second] = cluster.servers
    if (second !== undefined)
      second.before = ({ label }) => {
        if (label === lost) throw connectionLost('srv-2')
        return undefined
      }
    expect(await failureOf(cluster.newRun(), run)).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, server: 'srv-2' })
    expect(locked()).toEqual([false, true, false])
  })

  test('reports whose locks it broke', async () => {
    const { servers } = await run()
    expect(servers.map(({ name, lock, released }) => [name, lock?.owner, released])).toEqual(
      ['srv-1', 'srv-2', 'srv-3'].map(name => [name, 'ops@laptop', true]),
    )
    expect(locked()).toEqual([false, false, false])
  })
})
