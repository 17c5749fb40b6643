/** Whole rollbacks. Three folders are the servers. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { rollback, type RollbackInput } from '../../src/app/rollback.ts'
import { HactlErrors } from '../../src/errors.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../support/memory-ports.ts'
import { failureOf } from '../support/failure.ts'
import { hasTool, NO_WAIT, openOnSecond, putTool, withOpenSaid } from '../support/open-said.ts'
import { connectionLost } from '../support/remote.ts'
import { haproxyCfg, INVENTORY, type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('a rollback', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster

  const run = (ports = cluster.newRun(), wait: RollbackInput['wait'] = NO_WAIT) =>
    rollback(
      { inventoryPath: INVENTORY_PATH, id: undefined, limit: [], forks: 8, timeoutMs: 1000, wait, confirm: async () => true },
      ports,
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
      // All of them are reported, and not only the first.
      expect(await failureOf(cluster.newRun(), run)).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, message: '3 problems' })
      for (const server of cluster.servers) server.before = () => undefined
    },
  )

  test('to a time before what keeps connections open waits for them with --wait: 9 where the time is over first', async () => {
    for (const server of cluster.servers) putTool(server)
    // Beside the present files: a rollback takes away what that entry did not have.
    const error = await failureOf(withOpenSaid(cluster.newRun(), openOnSecond([3])), ports => run(ports, { waitMs: 3000, force: false }))
    expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9, server: 'srv-2' })
    expect(error.why).toContain('3 connections are still open (web: 3)')
    expect(cluster.servers.map(hasTool)).toEqual([true, true, false])
    await run(withOpenSaid(cluster.newRun(), openOnSecond([3, 3, 3, 0])), { waitMs: 3000, force: false })
    expect(cluster.servers.map(hasTool)).toEqual([false, false, false])
    await cluster.deploy()
  })

  test('restores what every server had before the newest change', async () => {
    const { servers } = await run()
    expect(servers.map(({ changed }) => changed)).toEqual(Array(3).fill(['file/haproxy.cfg', 'service/haproxy']))
    expect(cluster.servers.map(server => server.read('/etc/haproxy/haproxy.cfg'))).toEqual(Array(3).fill(haproxyCfg('one')))
  })

  test('to a certificate that no longer exists and is no longer listed says how to restore it, and then restores it', async () => {
    const path = '/etc/haproxy/certs/site.pem'
    const pem = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n'
    const listed = `${INVENTORY}certificates:\n  - { file: site.pem, path: ${path} }\n`
    const withTls = haproxyCfg('tls').replace('bind :80', `bind :443 ssl crt ${path}`)
    cluster.files.set('site.pem', pem)
    cluster.files.set('inventory.yml', listed)
    cluster.files.set('haproxy.cfg', withTls)
    await cluster.deploy()
    cluster.files.set('inventory.yml', INVENTORY)
    cluster.files.set('haproxy.cfg', haproxyCfg('three'))
    await cluster.deploy()
    for (const server of cluster.servers) {
      server.remove(path)
      server.write('/world/haproxy-needs', path)
    }
    const refused = await failureOf(cluster.newRun(), run)
    expect(refused).toBeInstanceOf(HactlErrors)
    expect(refused.exit).toBe(5)
    expect(refused instanceof HactlErrors && refused.errors[0]).toMatchObject({
      code: 'E_CONFIG_REFUSED',
      why: expect.arrayContaining([`${path} was deployed then, and certificates: in the inventory no longer lists it`]),
      fix: expect.stringContaining(`put ${path} back into certificates:`),
    })
    cluster.files.set('inventory.yml', listed)
    cluster.files.set('site.pem', pem.replace('MIIB', 'MIIC'))
    // The stand-in does not follow to the staged copy that haproxy reads now.
    for (const server of cluster.servers) server.remove('/world/haproxy-needs')
    await run()
    expect(cluster.servers.map(server => [server.read('/etc/haproxy/haproxy.cfg'), server.read(path)])).toEqual(
      Array(3).fill([withTls, pem]),
    )
  })
})
