/** Whole upgrades: hactl's own functions and the scripts in a real shell. Three folders are the servers. */
import { describe, expect, test, vi } from 'vitest'
import { upgrade, type UpgradeInput } from '../../src/app/upgrade.ts'
import { HactlError } from '../../src/errors.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../support/memory-ports.ts'
import type { Ports } from '../../src/ports.ts'
import { deployedCluster, serverOf } from '../support/deployed.ts'
import { failureOf } from '../support/failure.ts'
import { unlessLacking } from '../support/lacking.ts'
import { NO_WAIT, openOn, withOpenSaid } from '../support/open-said.ts'
import { connectionLost } from '../support/remote.ts'
import type { ShellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const NEWER = 'Inst haproxy [2.6.12-1] (2.6.12-2 Debian:12 [amd64])\n'
const WAITING = '/var/cache/apt/hactl/haproxy_2.6.12-2_amd64.deb'
const OFFSET = '/run/hactl/drain'

describe('an upgrade', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  deployedCluster(next => {
    cluster = next
    connections = []
    openSaid = () => undefined
  })

  /** What the service that keeps connections open says on a server in a look; undefined where there is none. */
  let openSaid: (name: string) => string | undefined
  /** Names of servers, once for each connection. */
  let connections: string[]

  const run = (confirm = async () => true, ports = cluster.newRun(), wait: UpgradeInput['wait'] = NO_WAIT) => {
    const { remote } = withOpenSaid(ports, name => openSaid(name))
    const counting: Ports['remote'] = {
      connect: (target, signal) => {
        connections.push(target.server)
        return remote.connect(target, signal)
      },
    }
    const input = { inventoryPath: INVENTORY_PATH, limit: [], forks: 8, timeoutMs: 1000, wait, confirm }
    return upgrade(input, { ...ports, remote: counting }, event => cluster.events.push(event), PACKAGE_ROOT)
  }
  const failure = (wait: UpgradeInput['wait'] = NO_WAIT) => failureOf(cluster.newRun(), ports => run(undefined, ports, wait))
  const server = (name: string) => serverOf(cluster, name)
  /** A newer haproxy for these: backups, whose turn moves no address. */
  const offer = (...names: readonly string[]) => {
    for (const name of names) server(name).write('/world/apt-simulates', NEWER)
  }
  const mark = (name: string) => server(name).read('/var/lib/hactl/upgrading')

  test('replaces the package where there is a newer one, and leaves the servers otherwise unchanged', async () => {
    offer('srv-2', 'srv-3')
    const report = await run()
    expect(report.servers.map(({ changed }) => changed)).toEqual([[], ...Array(2).fill(['package/haproxy', 'service/haproxy'])])
    expect([OFFSET, '/var/lib/hactl/upgrading', '/var/lib/hactl/lock/info'].map(path => server('srv-3').read(path)?.trim())).toEqual([
      '0',
      undefined,
      undefined,
    ])
  })

  test('that is interrupted in the middle of a turn ends that turn, and leaves the later servers alone: 130', async () => {
    offer('srv-2', 'srv-3')
    const turned = server('srv-3')
    turned.after = ({ label }) => {
      if (label !== 'make the changes live') return
      turned.write('/world/haproxy-hangs', '')
      cluster.abort.abort('SIGINT')
    }
    let looks = 0
    turned.before = ({ label }) => {
      // The gate has to wait once before haproxy answers.
      if (cluster.abort.signal.aborted && label === 'read the facts of this server' && ++looks === 2) turned.remove('/world/haproxy-hangs')
      return undefined
    }
    expect(await failure()).toMatchObject({ code: 'E_INTERRUPTED', exit: 130, message: 'interrupted before srv-2' })
    expect(server('srv-3').read(OFFSET)?.trim()).toBe('0')
    expect(mark('srv-3')).toBeUndefined()
    expect(server('srv-2').ran).not.toContain('make the changes live')
  })

  test('that cannot lower the priority of a later server has changed the earlier ones: 6, not 5', async () => {
    offer('srv-2', 'srv-3')
    server('srv-2').before = ({ label }) => {
      if (label === 'record that the upgrade has started here')
        throw new HactlError({ code: 'E_UNHEALTHY', server: 'srv-2', what: 'it is not healthy' })
      return undefined
    }
    expect(await failure()).toMatchObject({ code: 'E_UNHEALTHY', exit: 6, server: 'srv-2' })
  })

  test('whose connection is lost in the middle of a turn starts what is installed through a new one, and says what stays changed', async () => {
    offer('srv-3')
    let startWithinMs = 0
    server('srv-3').after = ({ label, deadlineMs }) => {
      if (label === 'make the changes live') throw connectionLost('srv-3')
      if (label === 'start what is installed') startWithinMs = deadlineMs
    }
    const error = await failure()
    expect(error).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 6, server: 'srv-3' })
    expect(error.why).toContain('srv-3 stays drained, so that it takes no address')
    expect(server('srv-3').ran).toContain('start what is installed')
    // Two starts, and a stop of haproxy that has not ended yet (stop_timeout).
    expect(startWithinMs).toBe(80_000)
    expect(connections.filter(name => name === 'srv-3')).toHaveLength(2)
  })

  test('whose installation is cut off lets its units start again, and names those that do not', async () => {
    offer('srv-3')
    const third = server('srv-3')
    const hold = (unit: string) => third.read(`/run/systemd/system/${unit}.service.d/hactl-hold.conf`)
    third.before = ({ label }) => {
      third.prelude = label === 'prepare' ? 'setsid() { kill -9 $$; }' : ''
      if (label !== 'start what is installed') return undefined
      expect(hold('haproxy')).toBeDefined()
      third.remove('/world/units/haproxy/active')
      third.write('/world/units/haproxy/fail-start', '')
      return undefined
    }
    const error = await failure()
    expect(error).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 6, server: 'srv-3' })
    expect(error.why).toContainEqual(expect.stringMatching(/^the installed versions could not be started again: .*haproxy is not active/))
    expect(hold('haproxy')).toBeUndefined()
  })

  test('that died after its last change is finished by the next one: undrained, and without its mark', async () => {
    offer('srv-3')
    const third = server('srv-3')
    const dead = new Set(['give srv-3 its priority back', 'record that the upgrade has ended here', 'release the lock'])
    third.before = ({ label }) => {
      if (dead.has(label)) throw connectionLost('srv-3')
      return undefined
    }
    await failure()
    expect([third.read(OFFSET)?.trim(), mark('srv-3')?.trim()]).toEqual(['-253', 'drained'])
    third.before = () => undefined
    third.remove('/var/lib/hactl/lock')
    third.remove('/world/apt-simulates')
    const report = await run()
    expect(report.servers.flatMap(({ changed }) => changed)).toEqual([])
    expect([third.read(OFFSET)?.trim(), mark('srv-3')]).toEqual(['0', undefined])
  })

  test('whose look at apt loses its connection has changed nothing: 4', async () => {
    offer('srv-3')
    server('srv-2').before = ({ label }) => {
      if (label === 'look for newer versions') throw connectionLost('srv-2')
      return undefined
    }
    expect(await failure()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, server: 'srv-2' })
  })

  test.for([['take the lock'], ['record that the upgrade has started here'], ['read the facts of this server']] as const)(
    'that loses a connection before its first turn has changed anything ends with 4, of %s',
    async ([lost]) => {
      offer('srv-2', 'srv-3')
      let isAtWork = false
      server('srv-3').before = ({ label }) => {
        isAtWork ||= label === 'try the new versions' || label === 'take the lock'
        if (isAtWork && label === lost) throw connectionLost('srv-3')
        return undefined
      }
      expect(await failure()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, server: 'srv-3' })
      expect(cluster.servers.flatMap(({ ran }) => ran)).not.toContain('prepare')
    },
  )

  test.for([['fetch the packages'], ['try the new versions']] as const)(
    'that loses a connection before anything is installed has changed nothing: 4, of %s',
    async ([lost]) => {
      offer('srv-2', 'srv-3')
      server('srv-2').before = ({ label }) => {
        if (label === lost) throw connectionLost('srv-2')
        return undefined
      }
      expect(await failure()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 4, server: 'srv-2' })
      expect(cluster.servers.flatMap(({ ran }) => ran)).not.toContain('prepare')
    },
  )

  const waiting = () => cluster.servers.map(each => each.read(WAITING) !== undefined)
  /** What an outlook leaves there where packages were carried. */
  const carries = () => {
    for (const each of cluster.servers)
      each.after = ({ label }) => {
        if (label === 'look for newer versions') each.write(WAITING, 'deb')
      }
  }

  test.for([
    ['nothing to do', []],
    ['a refusal', ['srv-3']],
  ] as const)('that ends with %s leaves no packages on the servers', async ([, offered]) => {
    offer(...offered)
    carries()
    await run(async () => false).catch(() => undefined)
    expect(waiting()).toEqual([false, false, false])
  })

  test('that meets another run does not remove the packages of that run', async () => {
    const third = server('srv-3')
    third.before = ({ label }) => {
      if (label !== 'look for newer versions') return undefined
      // The other run has just taken the lock.
      third.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')
      third.write(WAITING, 'deb')
      return undefined
    }
    offer('srv-2', 'srv-3')
    expect(await failure()).toMatchObject({ code: 'E_LOCKED', exit: 5, server: 'srv-3' })
    expect(waiting()).toEqual([false, false, true])
  })

  test('that fails on one server removes the packages on the later ones, except those that an installation may still read', async () => {
    offer('srv-2', 'srv-3')
    server('srv-3').before = ({ label }) => {
      if (label !== 'prepare') return undefined
      for (const each of cluster.servers) each.write(WAITING, 'deb')
      // Another run broke the lock and took it.
      server('srv-1').write('/var/lib/hactl/lock/info', 'id other\n')
      throw connectionLost('srv-3')
    }
    expect(await failure()).toMatchObject({ code: 'E_CONNECTION_LOST', exit: 6 })
    expect(waiting()).toEqual([true, false, true])
  })

  describe('of a server with connections that have not moved with their address', () => {
    const WAIT = { waitMs: 3000, force: false }
    const waits = () => cluster.events.flatMap(event => ('gate' in event && event.gate === 'open-connections' ? [event.kind] : []))
    const isLowered = (name: string) => server(name).read(OFFSET)?.trim() !== '0'
    /** srv-3 has so many open for each look while it is drained, the last number for all later ones. */
    const openThen = (...counts: readonly number[]) => {
      let looks = 0
      openSaid = name => {
        const isAsked = name === 'srv-3' && isLowered(name)
        return openOn(80, isAsked ? (counts[Math.min(looks++, counts.length - 1)] ?? 0) : 0)
      }
    }
    const changed = () => cluster.servers.filter(({ ran }) => ran.includes('make the changes live')).map(({ name }) => name)

    test('says how long they have, and goes on', async () => {
      offer('srv-3')
      openThen(12)
      await run()
      const text = '12 connections are still open (web: 12): they have 20 s (stop_timeout), then haproxy ends them'
      expect(cluster.events).toContainEqual({ kind: 'warning', server: 'srv-3', text })
      expect([changed(), waits()]).toEqual([['srv-3'], []])
    })

    test('waits for them with --wait, then goes on', async () => {
      offer('srv-3')
      openThen(12, 12, 5, 5, 0)
      await run(undefined, undefined, WAIT)
      expect([changed(), waits().at(0), waits().at(-1)]).toEqual([['srv-3'], 'gate-waiting', 'gate-passed'])
      expect(isLowered('srv-3')).toBe(false)
    })

    test('gives the address back where the time is over first, and changes neither it nor later ones: 9', async () => {
      offer('srv-2', 'srv-3')
      openThen(2)
      const error = await failure(WAIT)
      expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9, server: 'srv-3', fix: expect.stringContaining('--force') })
      expect(error.why).toEqual([
        '2 connections are still open (web: 2)',
        'srv-3 is undrained: its addresses went back, and nothing was cut',
        'this server and later ones keep the versions they have',
      ])
      expect([changed(), isLowered('srv-3'), mark('srv-3')]).toEqual([[], false, undefined])
    })

    test('goes on when the time is over with --force, and says what ends', async () => {
      offer('srv-3')
      openThen(2)
      await run(undefined, undefined, { ...WAIT, force: true })
      expect([changed(), waits().at(-1)]).toEqual([['srv-3'], 'gate-failed'])
      expect(cluster.events).toContainEqual(
        expect.objectContaining({ kind: 'warning', server: 'srv-3', text: expect.stringContaining('still open') }),
      )
    })

    test('gives the address back when it is interrupted while it waits: 130', async () => {
      offer('srv-3')
      openThen(2)
      const { before } = server('srv-3')
      server('srv-3').before = (...given) => {
        if (waits().length === 2) cluster.abort.abort('SIGINT')
        return before(...given)
      }
      const error = await failure(WAIT)
      expect(error).toMatchObject({ code: 'E_INTERRUPTED', exit: 130, message: 'interrupted while open connections ended' })
      expect(error.why).toContain('srv-3 is undrained: its addresses went back, and nothing was cut')
      expect([changed(), isLowered('srv-3'), mark('srv-3')]).toEqual([[], false, undefined])
    })

    test('leaves a server drained that was drained before', async () => {
      offer('srv-3')
      server('srv-3').write(OFFSET, '-253\n')
      openThen(2)
      const error = await failure(WAIT)
      expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9 })
      expect([changed(), isLowered('srv-3'), mark('srv-3')]).toEqual([[], true, undefined])
      expect(error.why).toContain('srv-3 stays drained, as it was, and nothing was cut')
    })

    test.each([false, true])('does not take an address that a drained server still has for nothing: 9, --force: %s', async force => {
      offer('srv-1')
      openSaid = () => openOn(80, 0)
      // Somebody drains the holder once the upgrade has looked at the cluster.
      server('srv-1').before = ({ label }) => {
        if (label === 'try the new versions') server('srv-1').write(OFFSET, '-253\n')
        return undefined
      }
      const error = await failure({ ...WAIT, force })
      expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9, server: 'srv-1' })
      expect(error.why[0]).toMatch(/^srv-1 still holds [0-9.]+ and its connections$/)
      expect(changed()).toEqual([])
    })

    test('leaves what an earlier upgrade did half to the next one: drained, with its mark', async () => {
      offer('srv-3')
      server('srv-3').write(OFFSET, '-253\n')
      server('srv-3').write('/var/lib/hactl/upgrading', 'drained\n')
      openThen(2)
      expect(await failure(WAIT)).toMatchObject({ code: 'E_STILL_OPEN' })
      expect([changed(), isLowered('srv-3'), mark('srv-3')?.trim()]).toEqual([[], true, 'drained'])
    })

    test('names the server and the command where the address cannot go back', async () => {
      offer('srv-3')
      openThen(2)
      server('srv-3').before = ({ label }) => {
        if (label === 'give srv-3 its priority back') return { code: 1 }
        return undefined
      }
      const error = await failure(WAIT)
      expect(error.exit).toBe(6)
      expect(error.errors?.map(({ code, fix }) => [code, fix])).toEqual([
        ['E_STILL_OPEN', expect.stringContaining('run hactl upgrade again')],
        ['E_COMMAND_FAILED', 'hactl undrain srv-3'],
      ])
      expect(mark('srv-3')?.trim()).toBe('drained')
    })

    test('ends none of them where keepalived alone is replaced, and does not wait', async () => {
      server('srv-3').write('/world/apt-simulates', 'Inst keepalived [1:2.2.7-1] (1:2.2.7-2 Debian:12 [amd64])\n')
      openThen(2)
      await run(undefined, undefined, WAIT)
      expect([changed(), waits()]).toEqual([['srv-3'], []])
    })
  })
})
