/** Whole deploys: hactl's own functions from the inventory's text to the scripts in a real shell. Three folders are the servers. */
import { existsSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { type HactlError, HactlErrors } from '../../src/errors.ts'
import type { Ports } from '../../src/ports.ts'
import { deployedCluster, serverOf } from '../support/deployed.ts'
import { failureOf } from '../support/failure.ts'
import { unlessLacking } from '../support/lacking.ts'
import { hasTool, openOnSecond, putTool, withOpenSaid } from '../support/open-said.ts'
import { connectionLost } from '../support/remote.ts'
import { haproxyCfg, INVENTORY, type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { fingerprint, shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('a deploy', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  deployedCluster(next => (cluster = next))

  const server = (name: string) => serverOf(cluster, name)
  const fingerprints = () => cluster.servers.map(({ root }) => fingerprint(root))
  const ran = () => cluster.servers.map(each => each.ran)
  const locks = () => cluster.servers.map(each => each.read('/var/lib/hactl/lock/info'))
  const NO_LOCKS = [undefined, undefined, undefined]
  const changedFiles = () => cluster.events.filter(event => event.kind === 'wave-started').map(event => event.servers)

  test('of a cluster that is as wanted takes no lock, only looks, and says who holds the address', async () => {
    const before = fingerprints()
    const report = await cluster.deploy({
      confirm: () => Promise.reject(new Error('there is nothing to confirm')),
    })
    expect(report.servers).toEqual(['srv-1', 'srv-2', 'srv-3'].map(name => ({ name, changed: [], unchanged: 22 })))
    expect(report.holder).toEqual({ '192.0.2.200': 'srv-1' })
    expect(new Set(ran().flat())).toEqual(new Set(['read the facts of this server']))
    expect(fingerprints()).toEqual(before)
  })

  test('that was killed after its last change is recorded by the next one, which removes what it left', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const dead = new Set(['write the history', 'remove what a dead run left', 'release the lock'])
    for (const each of cluster.servers) {
      each.before = ({ label }) => {
        if (dead.has(label)) throw connectionLost(each.name)
        return undefined
      }
    }
    await cluster.failedDeploy()
    const left = cluster.servers.map(each => readdirSync(join(each.root, 'var/lib/hactl/runs')))
    expect(left.map(runs => runs.length)).toEqual([1, 1, 1])
    for (const each of cluster.servers) {
      each.before = () => undefined
      utimesSync(join(each.root, 'var/lib/hactl/lock/beat'), 1, 1)
    }
    const eventsBefore = cluster.events.length
    const report = await cluster.deploy()
    expect(report.servers.flatMap(({ changed }) => changed)).toEqual([])
    expect(cluster.events.slice(eventsBefore)).toContainEqual(expect.objectContaining({ kind: 'lock-taken' }))
    expect(locks()).toEqual(NO_LOCKS)
    for (const [index, each] of cluster.servers.entries()) {
      const id = left[index]?.[0] ?? ''
      expect(existsSync(join(each.root, 'var/lib/hactl/runs'))).toBe(false)
      expect(JSON.parse(each.read(`/var/lib/hactl/history/${id}/meta.json`) ?? '')).toMatchObject({
        id,
        command: 'deploy',
        changed: ['file/haproxy.cfg', 'service/haproxy'],
      })
    }
    // Then there is nothing left to do: not even a lock is taken.
    for (const each of cluster.servers) each.ran.length = 0
    await cluster.deploy()
    expect(new Set(ran().flat())).toEqual(new Set(['read the facts of this server']))
  })

  test('that was put back leaves no entry in the history', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('it cannot be loaded'))
    const entries = () => cluster.servers.map(each => readdirSync(join(each.root, 'var/lib/hactl/history')))
    const before = entries()
    await cluster.failedDeploy()
    cluster.files.set('haproxy.cfg', haproxyCfg('one'))
    await cluster.deploy()
    expect(entries()).toEqual(before)
    expect(cluster.servers.map(each => existsSync(join(each.root, 'var/lib/hactl/runs')))).toEqual([false, false, false])
  })

  test('of a new haproxy.cfg changes one server after the other, the holder last, and is then as wanted', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const report = await cluster.deploy()
    expect(changedFiles()).toEqual([['srv-3'], ['srv-2'], ['srv-1']])
    expect(report.servers.map(({ changed }) => changed)).toEqual(Array(3).fill(['file/haproxy.cfg', 'service/haproxy']))
    expect(cluster.servers.map(each => each.read('/world/units/haproxy/loaded'))).toEqual(Array(3).fill(haproxyCfg('two')))
    expect((await cluster.plan()).plan.waves).toEqual([])
    expect(locks()).toEqual(NO_LOCKS)
    expect(cluster.servers.filter(({ root }) => existsSync(join(root, 'var/lib/hactl/runs')))).toEqual([])
  })

  test('that is declined changes nothing and takes no lock', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const before = fingerprints()
    expect(await cluster.failedDeploy({ confirm: async () => false })).toMatchObject({ code: 'E_DECLINED', exit: 3 })
    expect(fingerprints()).toEqual(before)
  })

  test("of a file that its checker refuses changes nothing on any server: 5, with the checker's own message", async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('this is refused'))
    const before = fingerprints()
    const error = await cluster.failedDeploy()
    expect(error.exit).toBe(5)
    expect((error as HactlErrors).errors).toMatchObject(
      ['srv-1', 'srv-2', 'srv-3'].map(name => ({
        server: name,
        code: 'E_CONFIG_REFUSED',
        why: [expect.stringContaining('unknown keyword')],
      })),
    )
    expect(fingerprints()).toEqual(before)
    expect(locks()).toEqual(NO_LOCKS)
  })

  test('of a file that is accepted but cannot be loaded stops at the first backup and puts it back', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('this cannot be loaded'))
    const before = fingerprints()
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_COMMAND_FAILED', exit: 6, server: 'srv-3' })
    expect(changedFiles()).toEqual([['srv-3']])
    expect(fingerprints()).toEqual(before)
    expect(locks()).toEqual(NO_LOCKS)
    expect((await cluster.plan()).plan.waves).toHaveLength(3)
    // What the failed run kept is needed until a run succeeds.
    expect(existsSync(join(server('srv-3').root, 'var/lib/hactl/runs'))).toBe(true)
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    await cluster.deploy()
    expect(existsSync(join(server('srv-3').root, 'var/lib/hactl/runs'))).toBe(false)
  })

  test('over a file that hactl did not make is refused with a diff without passwords', async () => {
    server('srv-2').write('/etc/keepalived/keepalived.conf', 'vrrp_instance X {\n    auth_pass s3cr3t\n}\n')
    server('srv-2').write('/var/lib/hactl/owned', '')
    const error = await cluster.failedDeploy()
    const all = error instanceof HactlErrors ? error.errors : [error]
    expect(all.every(each => each.code === 'E_FOREIGN_FILE' && each.server === 'srv-2')).toBe(true)
    expect(all.flatMap(each => each.why).join('\n')).toContain('-    auth_pass ***')
    expect(JSON.stringify(all.map(each => [each.message, each.why, each.fix]))).not.toContain('s3cr3t')
  })

  test('with an unreachable server is refused and changes none of the others, unless --limit leaves it out', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    cluster.files.set('inventory.yml', INVENTORY.replace('name: srv-3', 'name: srv-9'))
    const before = fingerprints()
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_SSH_UNREACHABLE', exit: 4, server: 'srv-9' })
    expect(fingerprints()).toEqual(before)
    const report = await cluster.deploy({ limit: ['srv-2'] })
    expect(report.servers).toMatchObject([{ name: 'srv-2', changed: ['file/members', 'file/haproxy.cfg', 'service/haproxy'] }])
    expect(fingerprints()[0]).toBe(before[0])
  })

  test('whose connection is lost while it looks has changed nothing: 4, not 6', async () => {
    server('srv-2').before = () => {
      throw connectionLost('srv-2')
    }
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, server: 'srv-2' })
  })

  test.for([
    ['take the lock', 4, [false, false, false]],
    ['fetch the packages', 4, [false, false, false]],
    ['prepare', 6, [true, false, true]],
  ] as const)('that installs and loses a connection: of %s it ends with %i', async ([lost, exit, installed]) => {
    const bare = shellCluster()
    try {
      const second = bare.servers[1]
      if (second === undefined) throw new Error('three servers')
      second.before = ({ label }) => {
        if (label === lost) throw connectionLost('srv-2')
        return undefined
      }
      expect(await bare.failedDeploy()).toMatchObject({ code: 'E_CONNECTION_LOST', exit, server: 'srv-2' })
      expect(bare.servers.map(each => each.read('/var/lib/hactl/lock/info'))).toEqual([undefined, undefined, undefined])
      expect(bare.servers.map(each => each.read('/world/packages/haproxy') !== undefined)).toEqual(installed)
    } finally {
      bare.remove()
    }
  })

  test('of a package whose installation was cut off, while its program still runs, installs it and has its service running', async () => {
    const second = server('srv-2')
    for (const name of ['haproxy', 'keepalived']) second.remove(`/world/packages/${name}`)
    // Where its package is installed again, keepalived is stopped.
    second.after = ({ label }) => {
      if (label === 'prepare') second.remove('/world/units/keepalived/active')
    }
    const report = await cluster.deploy()
    expect(report.servers.map(({ changed }) => changed)).toEqual([
      [],
      ['package/haproxy', 'package/keepalived', 'service/haproxy', 'service/keepalived'],
      [],
    ])
    expect(['haproxy', 'keepalived'].map(name => second.read(`/world/units/${name}/active`))).toEqual(['', ''])
  })

  test('whose connection is lost in the middle of a switch puts that server back through a new one', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const before = fingerprints()
    let isLost = false
    server('srv-3').after = ({ label }) => {
      if (label !== 'make the changes live' || isLost) return
      isLost = true
      throw connectionLost('srv-3')
    }
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 6, server: 'srv-3' })
    expect(fingerprints()).toEqual(before)
  })

  test('beside another one: one of them does the work, the other is refused with the owner of the lock', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const [first, second] = [Promise.withResolvers<boolean>(), Promise.withResolvers<boolean>()]
    const isAsked = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    const runs = [first, second].map((answer, index) =>
      cluster
        .deploy({
          confirm: () => {
            isAsked[index]?.resolve(undefined)
            return answer.promise
          },
        })
        .then(
          () => 'done',
          (error: HactlError) => error.code,
        ),
    )
    // Both have looked and found no lock; now both go on.
    await Promise.all(isAsked.map(each => each.promise))
    first.resolve(true)
    second.resolve(true)
    expect((await Promise.all(runs)).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['E_LOCKED', 'done'])
    expect((await cluster.plan()).plan.waves).toEqual([])
    expect(locks()).toEqual(NO_LOCKS)
  })

  test('that is interrupted between two servers leaves the later ones alone, gives the lock back, and ends with 130', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    server('srv-3').after = ({ label }) => {
      if (label === 'make the changes live') cluster.abort.abort('SIGINT')
    }
    const before = fingerprints()
    expect(await cluster.failedDeploy()).toMatchObject({ code: 'E_INTERRUPTED', exit: 130 })
    expect(fingerprints().slice(0, 2)).toEqual(before.slice(0, 2))
    expect(locks()).toEqual(NO_LOCKS)
  })

  test('over a file that was edited between the question and the answer is refused, and the edit stays', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const error = await cluster.failedDeploy({
      confirm: async () => {
        server('srv-3').write('/etc/haproxy/haproxy.cfg', '# just now\n')
        return true
      },
    })
    expect(error).toMatchObject({ code: 'E_CHANGED_MEANWHILE', exit: 5, server: 'srv-3' })
    expect(server('srv-3').read('/etc/haproxy/haproxy.cfg')).toBe('# just now\n')
    expect(server('srv-2').read('/etc/haproxy/haproxy.cfg')).toBe(haproxyCfg('one'))
  })

  test('with nothing to do on a cluster that is not healthy says so', async () => {
    const ill = server('srv-2')
    ill.write('/world/haproxy-hangs', '')
    // Every look takes a second of the clock's time: a few of them use up the time that a cluster may need to settle.
    ill.before = async () => {
      await cluster.ports.clock.sleep(1000)
      return undefined
    }
    expect(await cluster.failedDeploy()).toMatchObject({
      code: 'E_UNHEALTHY',
      exit: 5,
      why: expect.arrayContaining([expect.stringContaining('srv-2')]),
    })
  })

  test('with nothing to do and an address that does not answer ends with 5 and not 6', async () => {
    const probe: Ports['probe'] = async () => {
      // Every probe takes a second of the clock's time: a few of them use up the time that a cluster may need to settle.
      await cluster.ports.clock.sleep(1000)
      return { ok: false, tookMs: 1000, error: 'HTTP 503' }
    }
    Object.assign(cluster.ports, { probe })
    expect(await cluster.failedDeploy()).toMatchObject({
      code: 'E_UNHEALTHY',
      exit: 5,
      why: expect.arrayContaining(['192.0.2.200:80 does not answer (HTTP 503)']),
    })
  })

  test('with nothing to do just after a boot waits until what was started is ready', async () => {
    const late = server('srv-2')
    late.write('/world/haproxy-hangs', '')
    let looks = 0
    late.before = () => {
      if (++looks === 3) late.remove('/world/haproxy-hangs')
      return undefined
    }
    const report = await cluster.deploy()
    expect(report.servers.flatMap(({ changed }) => changed)).toEqual([])
    expect(looks).toBeGreaterThanOrEqual(3)
  })

  describe('that brings what keeps open connections, and other priorities, by which the address moves', () => {
    const UNPROVEN =
      "srv-2: packets with a client's address do not reach srv-1 from here (VRRP1): a move between the two cuts open connections"
    /** What the servers are told to do, and how srv-2 is looked at, in order. Their services are not started in truth: they say what is told here. */
    const log: string[] = []
    const run = (looksUntilProven: number) => {
      log.length = 0
      const priorities = '/24], priority: { srv-1: 200, srv-2: 254, srv-3: 190 } }'
      cluster.files.set('inventory.yml', INVENTORY.replace('/24] }', priorities))
      for (const each of cluster.servers) {
        each.before = ({ label }, { raw }) => {
          if (label === 'prepare') return { code: 0 }
          if (label !== 'make the changes live') return undefined
          log.push(`${raw.includes('open_tool ') ? 'service' : 'rest'} ${each.name}`)
          return { code: 0 }
        }
      }
      let looks = 0
      const said = (name: string) => {
        if (!log.includes(`service ${name}`)) return 'able\n'
        if (name === 'srv-2') log.push('look')
        const proven = name === 'srv-2' && looks++ < looksUntilProven ? 'no' : 'yes'
        return `running\nfresh\nrules owner\ninstance VRRP1 none\nproven VRRP1 srv-1 ${proven}\nable\n`
      }
      return cluster.deploy({}, withOpenSaid(cluster.newRun(), said))
    }
    const changes = () => log.filter(entry => entry !== 'look')
    const PARTS = ['service', 'rest'].flatMap(part => ['srv-3', 'srv-2', 'srv-1'].map(name => `${part} ${name}`))
    const warnings = () => cluster.events.flatMap(event => (event.kind === 'warning' ? [event.text] : []))

    test('brings it to all servers first, and waits until the new holder can send packets to the old one', async () => {
      await run(3)
      expect(changes()).toEqual(PARTS)
      expect(log.slice(2, 8)).toEqual(['service srv-1', 'look', 'look', 'look', 'look', 'rest srv-3'])
      expect(warnings()).not.toContain(UNPROVEN)
    })

    test('says as a drain does that the move cuts them where it cannot, and goes on', async () => {
      await run(Number.POSITIVE_INFINITY)
      expect(changes()).toEqual(PARTS)
      expect(warnings()).toContain(UNPROVEN)
    })
  })

  describe('that takes away what keeps connections open', () => {
    const isThere = () => cluster.servers.map(hasTool)
    const waits = () => cluster.events.flatMap(event => ('gate' in event && event.gate === 'open-connections' ? [event.kind] : []))
    /** srv-2, whose turn is the second, has so many open for each look. */
    const ports = (...counts: readonly number[]) => withOpenSaid(cluster.newRun(), openOnSecond(counts))
    const DOWN = { waitMs: 3000, force: false }

    beforeEach(() => {
      for (const each of cluster.servers) putTool(each)
      cluster.files.set('inventory.yml', `open_connections: reset\n${INVENTORY}`)
    })

    test('says in the plan and before it what ends', async () => {
      const { plan } = await cluster.deploy({}, ports(3))
      expect(plan.warnings).toEqual(['srv-2: VRRP1: 3 connections are still open here (port 80: 3), and end when this is applied'])
      const text = '3 connections are still open (web: 3): they end, because what keeps them open is removed'
      expect(cluster.events).toContainEqual({ kind: 'warning', server: 'srv-2', text })
      expect([isThere(), waits()]).toEqual([[false, false, false], []])
    })

    test('waits with --wait until nothing is open there', async () => {
      await cluster.deploy({ wait: DOWN }, ports(3, 3, 3, 1, 0))
      expect([isThere(), waits().at(0), waits().at(-1)]).toEqual([[false, false, false], 'gate-waiting', 'gate-passed'])
    })

    test('stops before that server where the time is over first: 9', async () => {
      const error = await failureOf(ports(3), run => cluster.deploy({ wait: DOWN }, run))
      expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9, server: 'srv-2' })
      expect(error.why).toEqual([
        '3 connections are still open (web: 3)',
        'this server was not changed; servers before it keep the new configuration',
      ])
      expect(isThere()).toEqual([true, true, false])
    })

    test('goes on then with --force', async () => {
      await cluster.deploy({ wait: { ...DOWN, force: true } }, ports(3))
      expect([isThere(), waits().at(-1)]).toEqual([[false, false, false], 'gate-failed'])
    })

    test('leaves that server as it is when it is interrupted while it waits: 130', async () => {
      server('srv-2').before = () => {
        if (waits().length === 2) cluster.abort.abort('SIGINT')
        return undefined
      }
      const error = await failureOf(ports(3), run => cluster.deploy({ wait: DOWN }, run))
      expect(error).toMatchObject({ code: 'E_INTERRUPTED', exit: 130, message: 'interrupted before srv-2' })
      expect(isThere()).toEqual([true, true, false])
    })
  })
})
