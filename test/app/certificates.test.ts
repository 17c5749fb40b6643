/** Certificates from the operator's machine to the servers: read, planned without showing them, loaded by a reload. */
import { describe, expect, test, vi } from 'vitest'
import { readInventory } from '../../src/app/load.ts'
import { haproxyLoadedHash } from '../../src/domain/desired.ts'
import { planObjects } from '../../src/cli/view/plan.ts'
import { INVENTORY_PATH, memoryPorts } from '../support/memory-ports.ts'
import { INVENTORY, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'

vi.setConfig({ testTimeout: 60_000 })

const PATH = '/etc/haproxy/certs/site.pem'
const WITH_CERTIFICATE = `${INVENTORY}certificates:\n  - { file: site.pem, path: ${PATH} }\n`
const pem = (key: string) =>
  `-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`

describe('a certificate', () => {
  const issuesWith = async (file: string | undefined) => {
    const files = new Map([
      ['inventory.yml', WITH_CERTIFICATE],
      ['haproxy.cfg', 'frontend web\n    bind :80\n'],
      ...(file === undefined ? [] : [['site.pem', file] as const]),
    ])
    const { issues } = await readInventory(INVENTORY_PATH, memoryPorts(files))
    return issues.map(({ path, message }) => `${path} ${message}`)
  }

  test('must exist and contain its key', async () => {
    expect(await issuesWith(undefined)).toEqual(['certificates[0].file there is no file /inventory/site.pem'])
    expect(await issuesWith(pem('k').split('-----BEGIN PRIVATE')[0])).toEqual([
      'certificates[0].file site.pem does not hold a certificate and its private key',
    ])
    expect(await issuesWith(pem('k'))).toEqual([])
    expect(await issuesWith(pem('k').replaceAll('\n', '\r\n').replaceAll('PRIVATE', 'EC PRIVATE'))).toEqual([])
  })

  test('is part of what haproxy must have loaded', () => {
    const hash = (content: string) => haproxyLoadedHash('global\n', [{ path: PATH, content }])
    expect(hash('one')).toBe(hash('one'))
    expect(new Set([hash('one'), hash('two'), haproxyLoadedHash('global\n', [])]).size).toBe(3)
  })
})

describe('a deploy', unlessLacking(shellServerLacks()), () => {
  test('of a new certificate writes it and reloads haproxy, one server after the other, and shows nothing of its content', async () => {
    const cluster = shellCluster()
    try {
      cluster.files.set('inventory.yml', WITH_CERTIFICATE)
      cluster.files.set('site.pem', pem('first-key'))
      await cluster.deploy()
      expect((await cluster.plan()).plan.waves).toEqual([])
      cluster.files.set('site.pem', pem('second-key'))
      const { plan } = await cluster.plan()
      expect(plan.waves).toEqual([['srv-3'], ['srv-2'], ['srv-1']])
      const shown = JSON.stringify(planObjects(plan))
      expect(shown).toContain('*** (changed)')
      expect(shown).not.toMatch(/first-key|second-key|MIIB/)
      const report = await cluster.deploy()
      expect(report.servers.map(({ changed }) => changed)).toEqual(Array(3).fill(['file/certificates/site.pem', 'service/haproxy']))
      expect(cluster.servers.map(server => server.read(PATH))).toEqual(Array(3).fill(pem('second-key')))
      expect((await cluster.plan()).plan.waves).toEqual([])
    } finally {
      cluster.remove()
    }
  })
})
