/** The whole of a removal on a folder for a server: what stood there before comes back, and nothing else stays. */
import { describe, expect, test, vi } from 'vitest'
import { removeScript } from '../../../src/engine/apply/remove.ts'
import { LOCK_ID, shellCluster } from '../../support/shell-cluster.ts'
import { shellServerLacks } from '../../support/shell-server.ts'

vi.setConfig({ testTimeout: 60_000 })

describe.skipIf(shellServerLacks() !== undefined)('a removal', () => {
  test.for([
    ["gives somebody's own haproxy.cfg back, although the purge of the package takes it along", '# mine\n'],
    ['leaves none where the package brought it', undefined],
  ] as const)('%s', async ([, text]) => {
    const cluster = shellCluster()
    try {
      const server = cluster.servers[1]
      if (server === undefined) throw new Error('three servers')
      if (text !== undefined) server.write('/etc/haproxy/haproxy.cfg', text)
      await cluster.deploy({ adopt: true })
      expect(server.read('/etc/haproxy/haproxy.cfg')).toContain('# one')
      server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
      const done = await server.session.run(removeScript(LOCK_ID, '/run/hactl'), { label: 'remove', deadlineMs: 10_000 })
      expect(done).toMatchObject({ code: 0 })
      expect(server.read('/etc/haproxy/haproxy.cfg')).toBe(text)
      expect(server.read('/etc/keepalived/keepalived.conf')).toBeUndefined()
      expect(server.read('/var/lib/hactl/owned')).toBeUndefined()
    } finally {
      cluster.remove()
    }
  })
})
