/** The scripts of a deploy in a real shell, one situation after the other. */
import { existsSync, readlinkSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { prepareScript } from '../../../src/engine/apply/prepare.ts'
import { finishDeadRunScript, finishScript } from '../../../src/engine/apply/switch.ts'
import { copyName } from '../../../src/engine/server-state/copy-name.ts'
import type { Action } from '../../../src/state/plan.ts'
import { haproxyCfg, INVENTORY, LOCK_ID, RUN_ID, type ShellCluster, shellCluster } from '../../support/shell-cluster.ts'
import { fingerprint, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'
import { sh } from '../../../src/shell/sh.ts'
import { unlessLacking } from '../../support/lacking.ts'

const HOLD = '/run/systemd/system/keepalived.service.d/hactl-hold.conf'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const CFG = '/etc/haproxy/haproxy.cfg'

describe('the scripts of a deploy', unlessLacking(shellServerLacks()), () => {
  let cluster: ShellCluster
  let bare: ShellServer
  let deployed: ShellServer
  /** A copy of `deployed`, for each test its own. */
  let server: ShellServer

  const actionsFor = async (on: ShellServer): Promise<readonly Action[]> => (await cluster.plan([on])).plan.servers[0]?.actions ?? []
  const loaded = (unit: 'haproxy' | 'keepalived') => server.read(`/world/units/${unit}/loaded`)
  const systemctl = () => server.read('/world/systemctl.log') ?? ''

  beforeAll(async () => {
    cluster = shellCluster(['srv-1'])
    const [first] = cluster.servers
    if (first === undefined) throw new Error('no server')
    bare = cluster.copy(first)
    deployed = first
    await cluster.settle(deployed)
  })
  afterAll(() => cluster.remove())
  beforeEach(() => {
    server = cluster.copy(deployed)
    server.remove('/world/systemctl.log')
    server.remove('/world/flock.log')
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    cluster.files.set('inventory.yml', INVENTORY)
  })

  test('bring a bare server to the wanted state', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('one'))
    expect(await actionsFor(deployed)).toEqual([])
    expect(deployed.read('/world/units/haproxy/loaded')).toBe(haproxyCfg('one'))
  })

  test('start no service while its package is installed: keepalived must not speak before its peers know it', async () => {
    const fresh = cluster.copy(bare)
    expect(await cluster.prepare(fresh, await actionsFor(fresh))).toMatchObject({ code: 0 })
    expect(fresh.read('/world/packages/keepalived')).toBeDefined()
    expect(fresh.read('/world/units/keepalived/active')).toBeUndefined()
    expect(fresh.read(HOLD)).toBeUndefined()
  })

  test('finish a broken installation without starting what it leaves', async () => {
    const fresh = cluster.copy(bare)
    const actions = await actionsFor(fresh)
    fresh.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
    fresh.write('/world/units/haproxy/enabled', '')
    fresh.write('/etc/haproxy/haproxy.cfg', '# as packaged\n')
    const script = prepareScript(RUN_ID, LOCK_ID, actions, true)
    expect(await fresh.session.run(script, { effect: 'none', label: 'prepare', deadlineMs: 1000 })).toMatchObject({ code: 0 })
    expect(fresh.read('/world/packages/haproxy')).toBeDefined()
    expect(fresh.read('/world/units/haproxy/active')).toBeUndefined()
  })

  test('recover from an installation that was killed half way, though its units are still held back', async () => {
    const fresh = cluster.copy(bare)
    fresh.write('/world/apt-hangs', '')
    await expect(cluster.settle(fresh)).rejects.toMatchObject({ code: 'E_CONNECTION_LOST' })
    expect(fresh.read(HOLD)).toBeDefined()
    fresh.remove('/world/apt-hangs')
    expect(await cluster.settle(fresh)).toMatchObject({ code: 0 })
    expect(await actionsFor(fresh)).toEqual([])
    expect(fresh.read('/var/lib/hactl/installed')).toBe('haproxy\nkeepalived\n')
  })

  test('do not record as their own a package that was half installed before them, or that apt could not install', async () => {
    const fresh = cluster.copy(bare)
    const own = () => fresh.read('/var/lib/hactl/installed')
    const actions = await actionsFor(fresh)
    fresh.write('/world/apt-fails', 'E: no\n')
    await cluster.prepare(fresh, actions)
    expect(own()).toBe('')
    fresh.remove('/world/apt-fails')
    // As dpkg would say "half-installed" of it.
    fresh.write('/world/packages/haproxy', '2.6.12-1\n')
    expect(await cluster.prepare(fresh, actions)).toMatchObject({ code: 0 })
    expect(own()).toBe('keepalived\n')
  })

  test('recover where the killed installation itself continued to its end', async () => {
    const fresh = cluster.copy(bare)
    expect(await cluster.prepare(fresh, await actionsFor(fresh))).toMatchObject({ code: 0 })
    fresh.write(HOLD.replace('keepalived', 'haproxy'), '')
    fresh.write(HOLD, '')
    expect(await cluster.settle(fresh)).toMatchObject({ code: 0 })
    expect(await actionsFor(fresh)).toEqual([])
  })

  test('change no live file where a checker refuses a file', async () => {
    cluster.files.set('haproxy.cfg', `${haproxyCfg('this is refused')}`)
    const before = fingerprint(server.root)
    const result = await cluster.prepare(server, await actionsFor(server))
    const lines = result.stdout.split('\n')
    expect(result.code).toBe(1)
    expect(lines).toContain('@@fail check/haproxy.cfg /etc/haproxy/haproxy.cfg was refused by haproxy')
    expect(lines).toContain(`[ALERT] config : parsing [${CFG}:1] : unknown keyword`)
    expect(fingerprint(server.root)).toBe(before)
  })

  test('count a checker that exits 0 with a message as a refusal, where silence is required', async () => {
    const actions = (await actionsFor(server)).map(action =>
      action.kind === 'write-file' && action.validation !== undefined
        ? {
            ...action,
            after: '# this is refused\n',
            validation: { ...action.validation, argv: ['keepalived', '-t', '{}'], mustBeSilent: true },
          }
        : action,
    )
    const result = await cluster.prepare(server, actions)
    expect(result).toMatchObject({ code: 1, stdout: expect.stringContaining('refused by keepalived') })
  })

  test('refuse to overwrite a file that was changed since the look, before anything is changed', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    server.write(CFG, '# by hand\n')
    const before = fingerprint(server.root)
    expect(await cluster.switch(server, actions)).toMatchObject({
      code: 98,
      stdout: expect.stringContaining('@@fail file/haproxy.cfg changed'),
    })
    expect(fingerprint(server.root)).toBe(before)
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(before)
  })

  test('do nothing once another run has the lock', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    server.write('/var/lib/hactl/lock/info', 'id lock1x\nowner somebody\n')
    const before = fingerprint(server.root)
    expect(await cluster.switch(server, actions)).toMatchObject({ code: 97 })
    expect(fingerprint(server.root)).toBe(before)
  })

  test('put nothing back once another run has the lock, because it builds on the present state', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    server.write('/var/lib/hactl/lock/info', 'id lock2\nowner somebody\n')
    server.write(CFG, haproxyCfg('of the other run'))
    const before = fingerprint(server.root)
    expect(await cluster.restore(server)).toMatchObject({ code: 97 })
    expect(fingerprint(server.root)).toBe(before)
    expect(server.read('/var/lib/hactl/lock/info')).toContain('id lock2')
  })

  test('are put back although the lock was broken, as long as no other run has it', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    server.remove('/var/lib/hactl/lock')
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(fingerprint(deployed.root))
    // It is this run's again, and free when that ends.
    expect(server.read('/var/lib/hactl/lock/info')).toContain(`id ${LOCK_ID}\n`)
  })

  test('put nothing back where another run was at work since', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    server.remove('/var/lib/hactl/lock')
    server.remove('/var/lib/hactl/runs')
    server.write(CFG, haproxyCfg('of the other run'))
    expect(await cluster.restore(server)).toMatchObject({ code: 97 })
    expect(server.read(CFG)).toBe(haproxyCfg('of the other run'))
    expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
  })

  test('write no history, and remove nothing that another run needs for its undo, once that run has the lock', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    server.write('/var/lib/hactl/lock/info', 'id lock2\nowner somebody\n')
    const entry = { id: RUN_ID, owner: 'ops@laptop', command: 'deploy', cluster: 'edge', source: 'inventory.yml', changed: [] } as const
    for (const script of [finishScript(entry, LOCK_ID), finishDeadRunScript(LOCK_ID, { patience: 1, stopMs: 0 })]) {
      expect(await server.session.run(script, { effect: 'none', label: 'finish', deadlineMs: 10_000 })).toMatchObject({ code: 97 })
    }
    expect(server.read(`/var/lib/hactl/runs/${RUN_ID}/previous/record`)).toContain(CFG)
    expect(server.read(`/var/lib/hactl/history/${RUN_ID}/meta.json`)).toBeUndefined()
  })

  test('write out all that a rename puts in its place, and all that the undo needs, before it: a power cut leaves no file empty', async () => {
    server.remove('/world/sync.log')
    server.prelude = 'mv() { command mv "$@" && echo "mv $*" >>"$ROOT/world/sync.log"; }'
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    const entry = { id: RUN_ID, owner: 'ops@laptop', command: 'deploy', cluster: 'edge', source: 'inventory.yml', changed: [] } as const
    const done = await server.session.run(finishScript(entry, LOCK_ID), { effect: 'none', label: 'finish', deadlineMs: 10_000 })
    expect(done).toMatchObject({ code: 0 })
    const log = (server.read('/world/sync.log') ?? '').replaceAll(server.root, '').trimEnd().split('\n')

    // What is renamed was written out before: a file itself, an entry of the history with all that is in it.
    const renames = log.flatMap((line, at) => {
      const [, from = '', to = ''] = /^mv (?:-\S+ )*(\S+) (\S+)$/.exec(line) ?? []
      return to === '' || to.startsWith('/run/') ? [] : [{ from, at }]
    })
    const unsafe = renames.filter(
      ({ from, at }) => !log.slice(0, at).some(line => line === `sync ${from}` || line.startsWith(`sync ${from}/`)),
    )
    expect(unsafe).toEqual([])
    expect(renames.length).toBeGreaterThan(2)
    const inEntry = ['meta.json', 'sums', 'manifest', `files/${copyName(join(server.root, CFG))}`]
    expect(log).toEqual(expect.arrayContaining(inEntry.map(name => `sync /var/lib/hactl/history/.new/${name}`)))

    const live = log.findIndex(line => line.endsWith(` ${CFG}`))
    const run = `/var/lib/hactl/runs/${RUN_ID}/previous`
    const needed = [`${run}/${copyName(CFG)}`, `${run}/record`, `${run}/owned.new`, '/var/lib/hactl/owned.new']
    expect(log.slice(0, live)).toEqual(expect.arrayContaining(needed.map(path => `sync ${path}`)))
  })

  test('load a restored file again: the file before it may have been loaded by hand', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('one'))
    server.write(CFG, '# by hand, and loaded\n')
    server.write('/world/units/haproxy/loaded', '# by hand, and loaded\n')
    expect(await cluster.settle(server)).toMatchObject({ code: 0 })
    expect(loaded('haproxy')).toBe(haproxyCfg('one'))
  })

  test('load the new file into a service that was down at the look and has come up since', async () => {
    server.remove('/world/units/haproxy/active')
    server.write('/world/units/haproxy/failed', '')
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    server.write('/world/units/haproxy/active', '')
    expect(await cluster.switch(server, actions)).toMatchObject({ code: 0 })
    expect(loaded('haproxy')).toBe(haproxyCfg('two'))
  })

  test('do not accept a reload that systemctl reports as successful while the old worker still runs', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('this cannot be loaded'))
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    const before = fingerprint(deployed.root)
    expect(await cluster.switch(server, actions)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('does not run the new configuration'),
    })
    expect(server.read('/var/lib/hactl/loaded/haproxy')).toBeUndefined()
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(before)
  })

  test('say so where the old configuration was put back and does not answer either', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    server.write('/world/haproxy-hangs', '')
    expect(await cluster.restore(server)).toMatchObject({ code: 1, stdout: expect.stringContaining('@@fail service/haproxy') })
    expect(server.read('/var/lib/hactl/loaded/haproxy')).toBeUndefined()
  })

  test('say that the server goes down where that is the reason for a failure', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    server.write('/world/stopping', '')
    server.write('/world/haproxy-hangs', '')
    expect((await cluster.switch(server, actions)).code).toBe(99)
    expect((await cluster.restore(server)).code).toBe(99)
    server.remove('/world/stopping')
    expect((await cluster.restore(server)).code).toBe(1)
  })

  test('stop a service again that did not run before', async () => {
    const fresh = cluster.copy(bare)
    const actions = await actionsFor(fresh)
    await cluster.prepare(fresh, actions)
    expect(await cluster.switch(fresh, actions)).toMatchObject({ code: 0 })
    expect(fresh.read('/world/units/haproxy/active')).toBeDefined()
    expect(await cluster.restore(fresh)).toMatchObject({ code: 0 })
    expect(fresh.read('/world/units/haproxy/active')).toBeUndefined()
    expect(fresh.read('/etc/keepalived/keepalived.conf')).toBeUndefined()
    expect(fresh.read('/var/lib/hactl/owned')).toBe('')
  })

  test('put a kernel parameter back, and a unit that was not enabled', async () => {
    const fresh = cluster.copy(bare)
    const actions = await actionsFor(fresh)
    await cluster.prepare(fresh, actions)
    fresh.remove('/world/units/keepalived/enabled')
    const disabled = await actionsFor(fresh)
    expect(await cluster.switch(fresh, disabled)).toMatchObject({ code: 0 })
    expect(fresh.read('/proc/sys/net/ipv4/ip_nonlocal_bind')).toBe('1\n')
    expect(fresh.read('/world/units/keepalived/enabled')).toBeDefined()
    expect(await cluster.restore(fresh)).toMatchObject({ code: 0 })
    expect(fresh.read('/proc/sys/net/ipv4/ip_nonlocal_bind')).toBe('0\n')
    expect(fresh.read('/world/units/keepalived/enabled')).toBeUndefined()
    expect(fresh.read('/world/units/haproxy/enabled')).toBeDefined()
  })

  test('need no room on the disk to put back what did not change', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    // As on a full disk, from the first new file on.
    server.prelude = 'install() { return 1; }'
    expect(await cluster.switch(server, actions)).toMatchObject({ code: 1, stdout: expect.stringContaining('disk full?') })
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(fingerprint(deployed.root))
  })

  test('keep the record of their files where the disk is full while they remove one', async () => {
    cluster.files.set('inventory.yml', `${INVENTORY}profile: classic\n`)
    const actions = await actionsFor(server)
    const first = actions.find(({ kind }) => kind === 'remove-file')
    await cluster.prepare(server, actions)
    const owned = server.read('/var/lib/hactl/owned')
    // Nothing can be written to the new record, as on a full disk.
    server.prelude = 'printf() { case $(readlink /proc/$$/fd/1) in (*owned.new) return 1 ;; esac; builtin printf "$@"; }'
    expect(await cluster.switch(server, first === undefined ? [] : [first])).toMatchObject({ code: 1 })
    expect(server.read('/var/lib/hactl/owned')).toBe(owned)
  })

  test('may be put back twice', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    await cluster.restore(server)
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(fingerprint(deployed.root))
  })

  test('put back the programs that the drop-ins call, where a change of profile removed them and their folder', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('one'))
    cluster.files.set('inventory.yml', `${INVENTORY}profile: classic\n`)
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    expect(await cluster.switch(server, actions)).toMatchObject({ code: 0 })
    expect(existsSync(join(server.root, '/usr/local/lib/hactl'))).toBe(false)
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(fingerprint(deployed.root))
  })

  describe('and the unit that hands over before a stop', () => {
    const companions = (on: ShellServer = server) =>
      ['haproxy', 'keepalived'].filter(unit => on.read(`/world/units/${unit}/companion`) !== undefined)
    const TEMPLATE = '/etc/systemd/system/hactl-hand-over@.service'

    beforeEach(() => {
      cluster.files.set('haproxy.cfg', haproxyCfg('one'))
    })

    test('run after a first deploy, and not where the services have stopped', async () => {
      expect(companions(deployed)).toEqual(['haproxy', 'keepalived'])
      await server.session.run(sh`systemctl stop haproxy`, { effect: 'none', label: 'stop', deadlineMs: 10_000 })
      expect(companions()).toEqual(['keepalived'])
      expect(await actionsFor(server)).toMatchObject([{ steps: ['start', 'stamp'] }])
      expect(await cluster.settle(server)).toMatchObject({ code: 0 })
      expect(companions()).toEqual(['haproxy', 'keepalived'])
    })

    test('are started beside services that run, where a version before had none, and stopped where that deploy is put back', async () => {
      for (const unit of ['haproxy', 'keepalived']) {
        const dropin = `/etc/systemd/system/${unit}.service.d/hactl.conf`
        server.write(dropin, (server.read(dropin) ?? '').replaceAll(/^Wants=.*\n/gm, 'ExecStop=-/bin/true\n'))
        server.write(`/world/units/${unit}/drop-in`, server.read(dropin) ?? '')
        server.remove(`/world/units/${unit}/companion`)
      }
      for (const path of [TEMPLATE, '/world/units/template']) server.remove(path)
      const before = fingerprint(server.root)
      const actions = await actionsFor(server)
      await cluster.prepare(server, actions)
      expect(await cluster.switch(server, actions)).toMatchObject({ code: 0 })
      expect(companions()).toEqual(['haproxy', 'keepalived'])
      expect(systemctl()).not.toMatch(/^(?:reload|restart) /m)
      expect(await actionsFor(server)).toEqual([])
      expect(await cluster.restore(server)).toMatchObject({ code: 0 })
      expect(companions()).toEqual([])
      expect(fingerprint(server.root)).toBe(before)
    })

    test('are started again where somebody stopped one', async () => {
      server.remove('/world/units/keepalived/companion')
      expect(await actionsFor(server)).toMatchObject([{ id: 'service/keepalived', steps: ['daemon-reload', 'start-companion'] }])
      expect(await cluster.settle(server)).toMatchObject({ code: 0 })
      expect(companions()).toEqual(['haproxy', 'keepalived'])
    })

    test('are gone in a profile without them, and are not stopped while they would still move the addresses', async () => {
      cluster.files.set('inventory.yml', `${INVENTORY}profile: classic\n`)
      expect(await cluster.settle(server)).toMatchObject({ code: 0 })
      expect(companions()).toEqual([])
      const calls = systemctl().split('\n')
      expect(calls.indexOf('daemon-reload')).toBeLessThan(calls.indexOf('stop hactl-hand-over@haproxy.service'))
    })
  })

  test('put a link back where there was one', async () => {
    server.write('/srv/lb/haproxy.cfg', '# mine\n')
    server.remove(CFG)
    symlinkSync('../../srv/lb/haproxy.cfg', join(server.root, CFG))
    server.write('/var/lib/hactl/owned', '')
    expect((await cluster.plan([server])).foreign).toMatchObject([
      { file: { path: CFG, linkTo: '../../srv/lb/haproxy.cfg', before: '# mine\n' } },
    ])
    const actions = (await cluster.plan([server], { adopt: true, reload: false })).plan.servers[0]?.actions ?? []
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
    expect(server.read(CFG)).toBe(haproxyCfg('two'))
    await cluster.restore(server)
    expect(readlinkSync(join(server.root, CFG))).toBe('../../srv/lb/haproxy.cfg')
    expect(server.read('/srv/lb/haproxy.cfg')).toBe('# mine\n')
  })

  test('put nothing back where nothing was started', async () => {
    const before = fingerprint(server.root)
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(before)
    expect(systemctl()).toBe('')
  })

  test('read the unit files once where both drop-ins change', async () => {
    // As another version of hactl wrote them.
    for (const unit of ['haproxy', 'keepalived']) {
      const path = `/etc/systemd/system/${unit}.service.d/hactl.conf`
      server.write(path, `${server.read(path)}# another\n`)
    }
    expect(await cluster.settle(server)).toMatchObject({ code: 0 })
    expect(systemctl().match(/daemon-reload/g)).toHaveLength(1)
    expect(server.read('/world/units/haproxy/drop-in')).toBe(server.read('/etc/systemd/system/haproxy.service.d/hactl.conf'))
    expect(await actionsFor(server)).toEqual([])
  })

  test('put back only after a switch that still runs has ended: a lost connection does not stop it', async () => {
    const actions = await actionsFor(server)
    await cluster.prepare(server, actions)
    // The switch waits before its reload until the test lets it go on.
    server.write('/world/units/haproxy/wait-reload', '')
    const switching = cluster.switch(server, actions)
    await until(() => systemctl().includes('reload haproxy'))
    const restoring = cluster.restore(server)
    await until(() => (server.read('/world/flock.log') ?? '').split('\n').length === 3)
    expect(loaded('haproxy')).toBe(haproxyCfg('one'))
    server.remove('/world/units/haproxy/wait-reload')
    await switching
    expect(await restoring).toMatchObject({ code: 0 })
    expect(fingerprint(server.root)).toBe(fingerprint(deployed.root))
  })
})

async function until(holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000
  while (!holds() && performance.now() < endMs) await new Promise(resolve => setImmediate(resolve))
  if (!holds()) throw new Error('it never came to that')
}
