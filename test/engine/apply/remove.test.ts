/** Whole removals on a folder that is the server: what was there before comes back, and nothing else stays. */
import { chmodSync, readlinkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { serviceTableFor } from '../../../src/domain/service-scripts.ts'
import { removeScript } from '../../../src/engine/apply/remove.ts'
import { clusterWith } from '../../domain/example.ts'
import { LOCK_ID, shellCluster } from '../../support/shell-cluster.ts'
import { shellServerLacks } from '../../support/shell-server.ts'
import { unlessLacking } from '../../support/lacking.ts'

vi.setConfig({ testTimeout: 60_000 })

describe('a removal', unlessLacking(shellServerLacks()), () => {
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
      const done = await server.session.run(
        removeScript(LOCK_ID, { services: await cluster.services(server), watchedFolder: '/run/hactl', waits: { patience: 1, stopMs: 0 } }),
        {
          effect: 'none',
          label: 'remove',
          deadlineMs: 10_000,
        },
      )
      expect(done).toMatchObject({ code: 0 })
      // needrestart would restart the services of a server that is not removed yet, and apt's lock may be another's.
      expect(server.read('/world/apt-asked.log')).toMatch(/^purge .*DPkg::Lock::Timeout=600 /m)
      expect(server.read('/world/apt-may-restart.log')).toBeUndefined()
      expect(server.read('/etc/haproxy/haproxy.cfg')).toBe(text)
      expect(server.read('/etc/keepalived/keepalived.conf')).toBeUndefined()
      expect(server.read('/var/lib/hactl/owned')).toBeUndefined()
    } finally {
      cluster.remove()
    }
  })

  test('leaves an earlier haproxy.cfg that a first deploy never replaced, because it stopped after its packages', async () => {
    const cluster = shellCluster()
    try {
      const server = cluster.servers[1]
      if (server === undefined) throw new Error('three servers')
      server.write('/etc/haproxy/haproxy.cfg', '# mine\n')
      server.before = ({ label }) =>
        label === 'make the changes live' ? { code: 1, stdout: '@@fail service/haproxy no\n', stderr: '' } : undefined
      await expect(cluster.deploy({ adopt: true })).rejects.toMatchObject({ code: 'E_COMMAND_FAILED' })
      expect(server.read('/world/packages/haproxy')).toBeDefined()
      server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
      const done = await server.session.run(
        removeScript(LOCK_ID, { services: await cluster.services(server), watchedFolder: '/run/hactl', waits: { patience: 1, stopMs: 0 } }),
        {
          effect: 'none',
          label: 'remove',
          deadlineMs: 10_000,
        },
      )
      expect(done).toMatchObject({ code: 0 })
      expect(server.read('/world/packages/haproxy')).toBeUndefined()
      expect(server.read('/etc/haproxy/haproxy.cfg')).toBe('# mine\n')
    } finally {
      cluster.remove()
    }
  })

  test('gives back a link with its target, which hactl never wrote to', async () => {
    const cluster = shellCluster()
    try {
      const server = cluster.servers[1]
      if (server === undefined) throw new Error('three servers')
      server.write('/srv/lb/haproxy.cfg', '# mine\n')
      server.write('/etc/haproxy/keep', '')
      symlinkSync('../../srv/lb/haproxy.cfg', join(server.root, 'etc/haproxy/haproxy.cfg'))
      await cluster.deploy({ adopt: true })
      expect(server.read('/etc/haproxy/haproxy.cfg')).toContain('# one')
      expect(server.read('/srv/lb/haproxy.cfg')).toBe('# mine\n')
      server.write('/srv/lb/haproxy.cfg', '# mine, newer\n')
      server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
      const done = await server.session.run(
        removeScript(LOCK_ID, { services: await cluster.services(server), watchedFolder: '/run/hactl', waits: { patience: 1, stopMs: 0 } }),
        {
          effect: 'none',
          label: 'remove',
          deadlineMs: 10_000,
        },
      )
      expect(done).toMatchObject({ code: 0 })
      expect(readlinkSync(join(server.root, 'etc/haproxy/haproxy.cfg'))).toBe('../../srv/lb/haproxy.cfg')
      expect(server.read('/etc/haproxy/haproxy.cfg')).toBe('# mine, newer\n')
    } finally {
      cluster.remove()
    }
  })

  test('closes what its scripts have opened before it removes the programs that they call, although these come first in the record', async () => {
    const cluster = shellCluster(['srv-1'])
    try {
      const [server] = cluster.servers
      if (server === undefined) throw new Error('one server')
      const [program, tool] = ['/usr/local/lib/hactl/some.pl', '/usr/local/sbin/hactl-some']
      server.write(program, '')
      server.write(tool, `#!/bin/sh\n[ -e "$ROOT${program}" ] && echo "$1" >"$ROOT/world/closed"\n`)
      chmodSync(join(server.root, tool), 0o755)
      const sum = '0'.repeat(64)
      server.write('/var/lib/hactl/owned', `${sum}  ${server.root}${program}\n${sum}  ${server.root}${tool}\n`)
      server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
      const services = serviceTableFor(clusterWith(), 'srv-1')
      const options = { effect: 'none', label: 'remove', deadlineMs: 10_000 } as const
      expect(
        await server.session.run(
          removeScript(LOCK_ID, { services, watchedFolder: '/run/hactl', waits: { patience: 1, stopMs: 0 } }),
          options,
        ),
      ).toMatchObject({ code: 0 })
      expect(server.read('/world/closed')).toBe('close\n')
      expect([server.read(program), server.read(tool)]).toEqual([undefined, undefined])
    } finally {
      cluster.remove()
    }
  })

  test('leaves packages that were installed before, and their units, as they were', async () => {
    const cluster = shellCluster()
    try {
      const [running, idle] = cluster.servers
      if (running === undefined || idle === undefined) throw new Error('three servers')
      for (const server of [running, idle]) {
        for (const [name, version] of [
          ['haproxy', '2.6.12-1'],
          ['keepalived', '1:2.2.7-1'],
        ] as const) {
          server.write(`/world/packages/${name}`, `${version}\n`)
          server.write(`/world/units/${name}/known`, '')
        }
        server.write('/etc/haproxy/haproxy.cfg', '# mine\n')
        server.write('/etc/keepalived/keepalived.conf', '! mine\n')
      }
      for (const name of ['haproxy', 'keepalived'])
        for (const state of ['active', 'enabled']) running.write(`/world/units/${name}/${state}`, '')
      await cluster.deploy({ adopt: true })
      const states = (server: typeof running) =>
        ['haproxy', 'keepalived'].map(name =>
          ['active', 'enabled'].filter(state => server.read(`/world/units/${name}/${state}`) !== undefined).join(' '),
        )
      expect([states(running), states(idle)]).toEqual([Array(2).fill('active enabled'), Array(2).fill('active enabled')])
      for (const server of [running, idle]) {
        server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
        // As after a removal that was cut off: what it put back is no edit by hand.
        server.write('/etc/haproxy/haproxy.cfg', '# mine\n')
        const done = await server.session.run(
          removeScript(LOCK_ID, {
            services: await cluster.services(server),
            watchedFolder: '/run/hactl',
            waits: { patience: 1, stopMs: 0 },
          }),
          {
            effect: 'none',
            label: 'remove',
            deadlineMs: 10_000,
          },
        )
        expect(done).toMatchObject({ code: 0 })
        expect(server.read('/etc/haproxy/haproxy.cfg')).toBe('# mine\n')
        expect(server.read('/etc/haproxy/haproxy.cfg.edited')).toBeUndefined()
        expect(server.read('/world/packages/haproxy')).toBe('2.6.12-1\n')
      }
      expect([states(running), states(idle)]).toEqual([Array(2).fill('active enabled'), Array(2).fill('')])
      for (const name of ['haproxy', 'keepalived']) expect(running.read(`/world/units/${name}/companion`)).toBeUndefined()
      expect(running.read('/world/units/keepalived/loaded')).toBe('! mine\n')
    } finally {
      cluster.remove()
    }
  })
})
