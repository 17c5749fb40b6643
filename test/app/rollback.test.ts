/** The whole of a rollback, on three folders for servers. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { rollback } from '../../src/app/rollback.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../support/memory-ports.ts'
import { connectionLost } from '../support/remote.ts'
import { haproxyCfg, type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe.skipIf(shellServerLacks() !== undefined)('a rollback', () => {
  let cluster: ShellCluster

  const run = () =>
    rollback(
      { inventoryPath: INVENTORY_PATH, id: undefined, limit: [], forks: 8, timeoutMs: 1000, confirm: async () => true },
      cluster.ports,
      event => cluster.events.push(event),
      PACKAGE_ROOT,
    )

  beforeAll(async () => {
    cluster = shellCluster()
    await cluster.deploy()
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    await cluster.deploy()
  })
  afterAll(() => cluster.remove())

  test.for([/^read the history$/, /^read the files of /])(
    'that loses a connection while it reads has changed nothing: 4, of %s',
    async label => {
      for (const server of cluster.servers) {
        server.before = options => {
          if (label.test(options.label)) throw connectionLost(server.name)
          return undefined
        }
      }
      // All of them are told of, not the first alone.
      await expect(run()).rejects.toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, message: '3 problems' })
      for (const server of cluster.servers) server.before = () => undefined
    },
  )

  test('brings back what every server had before the newest change', async () => {
    const { servers } = await run()
    expect(servers.map(({ changed }) => changed)).toEqual(Array(3).fill(['file/haproxy.cfg', 'service/haproxy']))
    expect(cluster.servers.map(server => server.read('/etc/haproxy/haproxy.cfg'))).toEqual(Array(3).fill(haproxyCfg('one')))
  })
})
