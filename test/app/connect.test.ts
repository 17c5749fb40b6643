import { describe, expect, test } from 'vitest'
import { forkMap } from '../../src/engine/fan-out.ts'
import { limitedServers, targetsOf, withConnections } from '../../src/app/connect.ts'
import { type LoadedCluster, loadCluster } from '../../src/app/load.ts'
import type { ConnectTarget, Ports } from '../../src/ports.ts'
import { Secret } from '../../src/secret.ts'
import { INVENTORY_PATH, memoryPorts } from '../support/memory-ports.ts'
import { connectionLost, type FakeSession, fakeRemote, fakeSession } from '../support/remote.ts'

const OPTIONS = { limit: [], forks: 8, timeoutMs: 7000 }
const files = (more: Record<string, unknown> = {}, second: Record<string, unknown> = {}) =>
  new Map([
    [
      'inventory.yml',
      JSON.stringify({
        servers: [
          { name: 'srv-1', host: '192.0.2.11' },
          { name: 'srv-2', host: '192.0.2.12', ...second },
          { name: 'srv-3', host: '192.0.2.13' },
        ],
        vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'] }],
        haproxy: { config: 'haproxy.cfg' },
        ...more,
      }),
    ],
    ['haproxy.cfg', 'frontend web\n    bind :80\n'],
  ])

async function load(inventory: ReadonlyMap<string, string>, more: Partial<Ports> = {}): Promise<[LoadedCluster, Ports]> {
  const ports = memoryPorts(inventory, more)
  return [await loadCluster(INVENTORY_PATH, ports), ports]
}

describe('how a server is reached', () => {
  test('is decided by ssh itself where the inventory does not say it', async () => {
    const [loaded, ports] = await load(files())
    const target = (await targetsOf(loaded, OPTIONS, ports)).get('srv-2')
    expect(target).toMatchObject({
      host: '192.0.2.12',
      hostKeyChecking: 'strict',
      become: true,
      inventoryPath: 'servers[1]',
      connectTimeoutMs: 7000,
    })
    expect([target?.user, target?.port, target?.identityFile, target?.becomePassword]).toEqual([undefined, undefined, undefined, undefined])
  })

  test("is decided by the server's own keys before the common ones, key by key", async () => {
    const common = { ssh: { user: 'ops', port: 22, identity_file: 'keys/id' }, become: true }
    const [loaded, ports] = await load(files(common, { ssh: { port: 2222, identity_file: '~/.ssh/own' }, become: false }))
    const targets = await targetsOf(loaded, OPTIONS, ports)
    expect(targets.get('srv-1')).toMatchObject({ user: 'ops', port: 22, identityFile: '/inventory/keys/id', become: true })
    expect(targets.get('srv-2')).toMatchObject({ user: 'ops', port: 2222, identityFile: '/home/ops/.ssh/own', become: false })
  })

  test("uses the password just typed, else the server's own, else the common one", async () => {
    const inventory = files({ become_password: { env: 'COMMON' } }, { become_password: { env: 'OWN' } })
    const [loaded, ports] = await load(inventory, { env: { COMMON: 'common', OWN: 'own' } })
    const passwords = async (becomePassword?: Secret) =>
      [...(await targetsOf(loaded, { ...OPTIONS, becomePassword }, ports)).values()].map(target => target.becomePassword?.reveal())
    expect(await passwords()).toEqual(['common', 'own', 'common'])
    expect(await passwords(new Secret('typed'))).toEqual(['typed', 'typed', 'typed'])
  })

  test("is determined for the servers of --limit only, in the inventory's order", async () => {
    const [loaded, ports] = await load(files())
    expect([...(await targetsOf(loaded, { ...OPTIONS, limit: ['srv-3', 'srv-1'] }, ports)).keys()]).toEqual(['srv-1', 'srv-3'])
    expect(() => limitedServers(loaded, ['srv-9'])).toThrow('--limit names srv-9')
  })
})

describe('connections', () => {
  const targets = new Map(['srv-1', 'srv-2', 'srv-3'].map(server => [server, { server } as ConnectTarget]))
  const open = (names: readonly string[]) => {
    const sessions: FakeSession[] = []
    const remote = fakeRemote(
      Object.fromEntries(
        names.map(name => [
          name,
          () => {
            const session = fakeSession(name, [])
            sessions.push(session)
            return session
          },
        ]),
      ),
    )
    return { sessions, ports: memoryPorts(new Map(), { remote }) }
  }

  test('are closed when the work is done', async () => {
    const { sessions, ports } = open(['srv-1', 'srv-2', 'srv-3'])
    const result = await withConnections(
      targets,
      { forks: 8, ports },
      async session => session.server,
      async (_, results) => [...results.values()],
    )
    expect(result).toEqual(['srv-1', 'srv-2', 'srv-3'])
    expect(sessions.map(session => session.isClosed)).toEqual([true, true, true])
  })

  test('are closed when the work fails, new ones in place of lost ones included', async () => {
    const { sessions, ports } = open(['srv-1', 'srv-2', 'srv-3'])
    const work = withConnections(
      targets,
      { forks: 8, ports },
      async () => {},
      async ({ links }) => {
        await links.renew(links.current('srv-2'))
        throw new Error('the work failed')
      },
    )
    await expect(work).rejects.toThrow('the work failed')
    expect(sessions.map(session => session.isClosed)).toEqual([true, true, true, true])
  })

  test('that fail are reported beside those that succeed', async () => {
    const { ports } = open(['srv-1', 'srv-3'])
    await withConnections(
      targets,
      { forks: 8, ports },
      async () => {},
      async ({ links, failures }) => {
        expect(links.servers).toEqual(['srv-1', 'srv-3'])
        expect(failures).toMatchObject([{ code: 'E_SSH_UNREACHABLE', server: 'srv-2' }])
      },
    )
  })

  test('that are lost at the first question are reported the same way', async () => {
    const { ports } = open(['srv-1', 'srv-2', 'srv-3'])
    const first = ({ server }: { readonly server: string }) =>
      server === 'srv-2' ? Promise.reject(connectionLost(server)) : Promise.resolve()
    await withConnections(targets, { forks: 8, ports }, first, async ({ failures }) => {
      expect(failures).toMatchObject([{ code: 'E_CONNECTION_LOST', server: 'srv-2' }])
    })
  })

  test('are never more at the same time than --forks says, and keep their order', async () => {
    let working = 0
    let most = 0
    const results = await forkMap([5, 1, 4, 2, 3], 2, async item => {
      working += 1
      most = Math.max(most, working)
      for (let turn = 0; turn < item; turn++) await Promise.resolve()
      working -= 1
      return item * 10
    })
    expect(results).toEqual([50, 10, 40, 20, 30])
    expect(most).toBe(2)
  })
})
