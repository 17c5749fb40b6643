/** Whole removals: how they stop part way and continue. Three folders are the servers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { remove, type RemoveInput } from '../../src/app/remove.ts'
import { HactlError } from '../../src/errors.ts'
import { INVENTORY_PATH } from '../support/memory-ports.ts'
import { deployedCluster } from '../support/deployed.ts'
import { failureOf } from '../support/failure.ts'
import { unlessLacking } from '../support/lacking.ts'
import { hasTool, NO_WAIT, openOnSecond, putTool, withOpenSaid } from '../support/open-said.ts'
import { connectionLost } from '../support/remote.ts'
import { type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { type ShellServer, shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const LABEL = 'remove what hactl put there'

describe('a removal', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  deployedCluster(next => (cluster = next))

  const run = (limit: readonly string[] = [], ports = cluster.newRun(), more: Partial<RemoveInput> = {}) =>
    remove(
      { inventoryPath: INVENTORY_PATH, limit, forks: 8, timeoutMs: 1000, wait: NO_WAIT, confirm: async () => true, ...more },
      ports,
      event => cluster.events.push(event),
    )
  const failure = (limit?: readonly string[]) => failureOf(cluster.newRun(), ports => run(limit, ports))
  /** A switch on this server that outlived its connection. */
  const hold = async (server: ShellServer) => {
    const mutex = join(server.root, 'var/lib/hactl/switch.mutex')
    const holder = spawn('flock', [mutex, 'sh', '-c', 'echo held; read -r _'], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(holder.stdout, 'data')
    const asked = () => (server.read('/world/flock.log') ?? '').split('\n').filter(line => line.endsWith(' 8')).length
    const askedBefore = asked()
    const isWaitedFor = async () => {
      const endMs = performance.now() + 20_000
      while (asked() === askedBefore && performance.now() < endMs) await sleep(20)
      expect(asked()).toBeGreaterThan(askedBefore)
    }
    return { isWaitedFor, release: () => holder.stdin.end('\n') }
  }
  const owned = () => cluster.servers.map(server => server.read('/var/lib/hactl/owned') !== undefined)

  test('that is interrupted finishes the present server, says how far it came, and continues when it is run again', async () => {
    for (const server of cluster.servers) {
      server.before = ({ label, signal }) => {
        if (label !== LABEL) return undefined
        cluster.abort.abort('SIGTERM')
        // As ssh does: the command is stopped together with its script.
        if (signal?.aborted === true) throw new HactlError({ code: 'E_INTERRUPTED', server: server.name, what: 'interrupted' })
        return undefined
      }
    }
    expect(await failure()).toMatchObject({
      code: 'E_INTERRUPTED',
      exit: 143,
      message: 'interrupted before srv-3',
      why: ["nothing of hactl's is left on srv-2", 'servers not changed: srv-1'],
    })
    expect(owned()).toEqual([true, false, true])
    expect(cluster.servers.map(server => server.read('/var/lib/hactl/lock/info'))).toEqual([undefined, undefined, undefined])
  })

  test('that fails on one server says which servers were done and which were not', async () => {
    const [, , third] = cluster.servers
    if (third === undefined) throw new Error('three servers')
    third.before = ({ label }) => {
      if (label === LABEL) throw connectionLost('srv-3')
      return undefined
    }
    expect(await failure()).toMatchObject({
      code: 'E_CONNECTION_LOST',
      exit: 6,
      server: 'srv-3',
      why: expect.arrayContaining(["nothing of hactl's is left on srv-2", 'servers not changed: srv-1']),
      fix: expect.stringMatching(/^run hactl remove again to continue/),
    })
    third.before = () => undefined
    await run()
    expect(owned()).toEqual([false, false, false])
    const locks = cluster.events.flatMap(event => (event.kind === 'lock-taken' && event.servers.length < 3 ? [event.servers] : []))
    expect(locks).toEqual([['srv-3', 'srv-1']])
  })

  test('updates the remaining servers under their lock', async () => {
    const [first, second] = cluster.servers
    if (first === undefined || second === undefined) throw new Error('three servers')
    const members = (server: ShellServer) => server.read('/var/lib/hactl/members')
    const before = members(second)
    // The lock of a deploy that is limited to srv-2.
    second.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')
    const held = await hold(first)
    const done = run(['srv-3'])
    await held.isWaitedFor()
    expect(members(first)).toBe(before)
    held.release()
    await done
    expect(members(first)).not.toContain('srv-3')
    expect(members(second)).toBe(before)
    expect(cluster.events).toContainEqual({
      kind: 'warning',
      server: 'srv-2',
      text: expect.stringMatching(/^this server was not updated and still lists .*hactl deploy --forget srv-3/),
    })
    expect(first.read('/var/lib/hactl/lock/info')).toBeUndefined()
  })

  test('waits for a switch that outlived its connection, and does nothing where the lock is lost meanwhile', async () => {
    const second = cluster.servers[1]
    if (second === undefined) throw new Error('three servers')
    const held = await hold(second)
    const done = failure()
    await held.isWaitedFor()
    expect(second.read('/etc/haproxy/haproxy.cfg')).toContain('# one')
    // Its connection was silent for so long that another run has the lock now.
    second.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')
    held.release()
    expect(await done).toMatchObject({ code: 'E_LOCKED', server: 'srv-2' })
    expect(second.read('/etc/haproxy/haproxy.cfg')).toContain('# one')
    second.remove('/var/lib/hactl/lock')
    await run()
    expect(owned()).toEqual([false, false, false])
  })

  test.for([
    ['its files', 'mv() { command mv "$@"; case "$*" in (*given-back) kill -9 $$ ;; esac; }'],
    ['its packages', 'setsid() { command setsid "$@"; kill -9 $$; }'],
    ['all but its own record', 'find() { rm -rf "$state/original" "$state/given-back"; kill -9 $$; }'],
  ] as const)('that died behind %s is ended by the next one, which then tells those that stay', async ([, prelude]) => {
    const third = cluster.servers[2]
    if (third === undefined) throw new Error('three servers')
    third.prelude = prelude
    expect(await failure(['srv-3'])).toMatchObject({ code: 'E_CONNECTION_LOST' })
    // As a real purge does.
    if (third.read('/world/packages/haproxy') === undefined) third.remove('/etc/haproxy')
    third.prelude = ''
    third.remove('/var/lib/hactl/lock')
    await run(['srv-3'])
    expect(['/etc/haproxy/haproxy.cfg', '/world/packages/haproxy'].map(path => third.read(path))).toEqual([undefined, undefined])
    expect(existsSync(join(third.root, 'var/lib/hactl'))).toBe(false)
    expect(cluster.servers.slice(0, 2).map(server => server.read('/var/lib/hactl/members')?.includes('srv-3'))).toEqual([false, false])
  })

  test('that died before it updated the remaining servers does so when it is run again', async () => {
    const [first, second] = cluster.servers
    if (first === undefined || second === undefined) throw new Error('three servers')
    for (const server of [first, second])
      server.before = ({ label }) => {
        if (label === 'look for a list of members') throw connectionLost(server.name)
        return undefined
      }
    await run(['srv-3'])
    expect(first.read('/var/lib/hactl/members')).toContain('srv-3')
    for (const server of [first, second]) server.before = () => undefined
    await run(['srv-3'])
    for (const server of [first, second]) expect(server.read('/var/lib/hactl/members')).not.toContain('srv-3')
  })

  test('removes what a deploy installed before it stopped', async () => {
    const bare = shellCluster()
    try {
      for (const server of bare.servers) server.write('/var/lib/hactl/installed', 'haproxy\nkeepalived\n')
      for (const server of bare.servers) for (const name of ['haproxy', 'keepalived']) server.write(`/world/packages/${name}`, '1\n')
      const hold = '/run/systemd/system/haproxy.service.d/hactl-hold.conf'
      bare.servers[0]?.write(hold, '[Unit]\nConditionPathExists=/nowhere\n')
      cluster = bare
      await run()
      expect(bare.servers[0]?.read(hold)).toBeUndefined()
      expect(bare.servers.map(server => server.read('/world/packages/haproxy'))).toEqual([undefined, undefined, undefined])
      expect(existsSync(join(bare.servers[0]?.root ?? '', 'var/lib/hactl'))).toBe(false)
    } finally {
      bare.remove()
    }
  })

  test('does not touch a server that hactl never changed, although haproxy runs there', async () => {
    const first = cluster.servers[0]
    if (first === undefined) throw new Error('three servers')
    first.remove('/var/lib/hactl')
    first.remove('/world/systemctl.log')
    first.remove('/etc/haproxy/haproxy.cfg')
    await run()
    expect(first.ran).not.toContain(LABEL)
    expect(first.read('/world/systemctl.log') ?? '').not.toMatch(/^(stop|reload|disable)/m)
    expect(existsSync(join(first.root, 'var/lib/hactl'))).toBe(false)
  })

  describe('of servers that keep connections open', () => {
    const WAIT = { waitMs: 3000, force: false }
    const waits = () => cluster.events.flatMap(event => ('gate' in event && event.gate === 'open-connections' ? [event.kind] : []))
    const isThere = () => cluster.servers.map(hasTool)
    /** srv-2, whose turn is the first, has so many open for each look. */
    const ports = (...counts: readonly number[]) => withOpenSaid(cluster.newRun(), openOnSecond(counts))
    beforeEach(() => {
      for (const each of cluster.servers) putTool(each)
    })

    test('says before it what ends', async () => {
      const said: (readonly string[])[] = []
      const confirm: RemoveInput['confirm'] = async ({ warnings }) => {
        said.push(warnings)
        return false
      }
      await failureOf(ports(3), given => run([], given, { confirm }))
      await failureOf(ports(0), given => run(['srv-1'], given, { confirm }))
      expect(said).toEqual([
        ['srv-2: VRRP1: 3 connections are still open here (port 80: 3), and end when this is applied'],
        ['srv-1 holds 192.0.2.200: what is open to it ends; hactl drain srv-1 --wait 10m lets it end first'],
      ])
    })

    test('waits with --wait until nothing is open there', async () => {
      await run([], ports(3, 3, 1, 0), { wait: WAIT })
      expect([isThere(), waits().at(0), waits().at(-1)]).toEqual([[false, false, false], 'gate-waiting', 'gate-passed'])
    })

    test('stops before that server where the time is over first: 9, and goes on with --force', async () => {
      const error = await failureOf(ports(3), given => run([], given, { wait: WAIT }))
      expect(error).toMatchObject({ code: 'E_STILL_OPEN', exit: 9, server: 'srv-2' })
      expect(error.why).toEqual([
        '3 connections are still open (web: 3)',
        'nothing was removed from any server before',
        'servers not changed: srv-3, srv-1',
      ])
      expect(isThere()).toEqual([true, true, true])
      await run([], ports(3), { wait: { ...WAIT, force: true } })
      expect([isThere(), waits().at(-1)]).toEqual([[false, false, false], 'gate-failed'])
    })

    test('leaves them as they are when it is interrupted while it waits: 130', async () => {
      const [, second] = cluster.servers
      if (second === undefined) throw new Error('three servers')
      second.before = () => {
        if (waits().length === 2) cluster.abort.abort('SIGINT')
        return undefined
      }
      const error = await failureOf(ports(3), given => run([], given, { wait: WAIT }))
      expect(error).toMatchObject({ code: 'E_INTERRUPTED', exit: 130, message: 'interrupted before srv-2' })
      expect(isThere()).toEqual([true, true, true])
    })

    test('refuses to wait for one that holds an address while others stay: 5, nothing was changed', async () => {
      const error = await failureOf(ports(0), given => run(['srv-1'], given, { wait: WAIT }))
      expect(error).toMatchObject({ code: 'E_UNHEALTHY', exit: 5, server: 'srv-1', fix: expect.stringContaining('hactl drain srv-1') })
      expect(isThere()).toEqual([true, true, true])
    })
  })

  test('leaves no traces where hactl has nothing left', async () => {
    await run(['srv-3'])
    await run(['srv-2'])
    expect(existsSync(join(cluster.servers[2]?.root ?? '', 'var/lib/hactl'))).toBe(false)
  })
})
