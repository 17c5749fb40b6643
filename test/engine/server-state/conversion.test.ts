/** A server as a version without format numbers left it: this version reads it unchanged and converts it at the first change. */
import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { history } from '../../../src/app/history.ts'
import { rollback } from '../../../src/app/rollback.ts'
import { remove } from '../../../src/app/remove.ts'
import { status } from '../../../src/app/status.ts'
import { finishDeadRunScript } from '../../../src/engine/apply/switch.ts'
import { copyName } from '../../../src/engine/server-state/copy-name.ts'
import { READY_STATE } from '../../../src/engine/server-state/format.ts'
import { putKeptServer } from '../../support/kept-server.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../../support/memory-ports.ts'
import { NO_WAIT } from '../../support/open-said.ts'
import { haproxyCfg, INVENTORY, LOCK_ID, type ShellCluster, shellCluster } from '../../support/shell-cluster.ts'
import { fingerprint, movedFrom, serverAt, type ShellServer, shellServerLacks } from '../../support/shell-server.ts'

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

const CFG = '/etc/haproxy/haproxy.cfg'
const CONF = '/etc/keepalived/keepalived.conf'
const APART = '/etc/haproxy/site/a.pem'
const FLAT = '/etc/haproxy/site_a.pem'
const CERTIFICATES = `certificates:\n  - { file: a.pem, path: ${APART} }\n  - { file: site_a.pem, path: ${FLAT} }\n`
const pem = (key: string) =>
  `-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`
/** The fixture's entries, and its run that died before it wrote its own. */
const [BARE, WITH_BOTH, NEWEST, DEAD] = ['111804Z-2e9a46', '111806Z-24a691', '111807Z-3150df', '111809Z-0347b0'].map(
  time => `20261127T${time}`,
) as [string, string, string, string]

describe.skipIf(shellServerLacks() !== undefined)('a state of format 1', () => {
  let cluster: ShellCluster
  let server: ShellServer

  const options = { inventoryPath: INVENTORY_PATH, limit: ['srv-1'], forks: 8, timeoutMs: 1000 }
  const entries = async () => (await history(options, cluster.ports)).entries.map(({ id }) => id)
  const goBack = (id: string) =>
    rollback({ ...options, id, wait: NO_WAIT, confirm: async () => true }, cluster.ports, event => cluster.events.push(event), PACKAGE_ROOT)
  const wantAsKept = () => {
    cluster.files.set('inventory.yml', `${INVENTORY}${CERTIFICATES}`)
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    cluster.files.set('a.pem', pem('a.pem two'))
    cluster.files.set('site_a.pem', pem('site_a.pem two'))
  }
  const kept = (folder: string) => readdirSync(join(server.root, 'var/lib/hactl', folder)).toSorted()
  const format = () => server.read('/var/lib/hactl/format')

  beforeEach(() => {
    cluster = shellCluster()
    const [first] = cluster.servers
    if (first === undefined) throw new Error('three servers')
    server = first
    putKeptServer(server, 'format-1')
    wantAsKept()
  })
  afterEach(() => cluster.remove())

  test('is read and not changed by commands that only look', async () => {
    const before = fingerprint(server.root)
    expect(await entries()).toEqual([NEWEST, WITH_BOTH, BARE])
    const { servers } = await status(options, cluster.ports, PACKAGE_ROOT)
    expect(servers[0]).toMatchObject({ reachable: true, haproxy: 'healthy' })
    await cluster.plan([server])
    expect(fingerprint(server.root)).toBe(before)
    expect(format()).toBeUndefined()
  })

  test('is converted by the first change, which also records the run that had died', async () => {
    cluster.files.set('haproxy.cfg', haproxyCfg('three'))
    await cluster.deploy({ limit: ['srv-1'] })
    expect(format()).toMatch(/^format 2\nhactl \S+\n$/)
    const originals = [CFG, CONF, `${CONF}.link`, FLAT, APART].map(path =>
      path.endsWith('.link') ? `${copyName(server.root + CONF)}.link` : copyName(server.root + path),
    )
    expect(kept('original')).toEqual([...originals, 'sysctl', 'units'].toSorted())
    expect((await entries()).slice(1)).toEqual([NEWEST, WITH_BOTH, BARE])
    expect(kept('.')).not.toContain('runs')
  })

  test('has its dead run recorded under its own id, with a copy for each file', async () => {
    server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
    for (const script of [READY_STATE, finishDeadRunScript(LOCK_ID, { patience: 1, stopMs: 0 })])
      expect(await server.session.run(script, { effect: 'change', label: 'finish', deadlineMs: 10_000 })).toMatchObject({ code: 0 })
    server.remove('/var/lib/hactl/lock')
    expect(await entries()).toEqual([DEAD, NEWEST, WITH_BOTH, BARE])
    for (const path of ['a.pem', 'site_a.pem']) cluster.files.set(path, pem(`${path} three`))
    await cluster.deploy({ limit: ['srv-1'] })
    await goBack(DEAD)
    expect([APART, FLAT].map(path => server.read(path))).toEqual([pem('a.pem two'), pem('site_a.pem two')])
  })

  test.for(['as the first command of this version', 'after it was converted'])('allows a rollback to an old entry, %s', async when => {
    if (when === 'after it was converted') await cluster.deploy({ limit: ['srv-1'] })
    await goBack(BARE)
    expect(server.read(CFG)).toBe(haproxyCfg('one'))
    expect([APART, FLAT].map(path => server.read(path))).toEqual([undefined, undefined])
    expect(format()).toMatch(/^format 2\n/)
  })

  test('refuses a rollback to an entry that had one copy for two files, whose contents are lost', async () => {
    const before = fingerprint(server.root)
    await expect(goBack(WITH_BOTH)).rejects.toMatchObject({
      code: 'E_NO_HISTORY',
      server: 'srv-1',
      message: `the entry ${WITH_BOTH} no longer has the content of ${APART}`,
    })
    expect(fingerprint(server.root)).toBe(before)
  })

  test('is put back completely by an undo in the run that converted it', async () => {
    const before = [CFG, CONF, APART, FLAT].map(path => server.read(path))
    cluster.files.set('haproxy.cfg', haproxyCfg('this cannot be loaded'))
    cluster.files.set('a.pem', pem('a.pem three'))
    cluster.files.set('site_a.pem', pem('site_a.pem three'))
    await expect(cluster.deploy({ limit: ['srv-1'] })).rejects.toMatchObject({ code: 'E_COMMAND_FAILED' })
    expect([CFG, CONF, APART, FLAT].map(path => server.read(path))).toEqual(before)
    expect(format()).toMatch(/^format 2\n/)
    expect(await entries()).toEqual([NEWEST, WITH_BOTH, BARE])
  })

  test('gives back what was there before, with links and a file with "_" in its name, and leaves nothing', async () => {
    await remove({ ...options, wait: NO_WAIT, confirm: async () => true }, cluster.ports, event => cluster.events.push(event))
    expect(server.read(CFG)).toBe('# mine\n')
    expect(readlinkSync(join(server.root, CONF))).toBe('mine.conf')
    expect(server.read(FLAT)).toBe('# my certificate\n')
    expect(readdirSync(join(server.root, 'var/lib'))).not.toContain('hactl')
  })

  test('is removed completely where a removal by the older version was cut off', async () => {
    const owned = server.read('/var/lib/hactl/owned') ?? ''
    server.write('/var/lib/hactl/given-back', owned)
    server.remove('/var/lib/hactl/owned')
    // The file was given back, and then removed by the purge of its package.
    server.remove(CFG)
    await remove({ ...options, wait: NO_WAIT, confirm: async () => true }, cluster.ports, event => cluster.events.push(event))
    expect(server.read(CFG)).toBe('# mine\n')
    expect(server.read('/world/packages/haproxy')).toBeUndefined()
    expect(readdirSync(join(server.root, 'var/lib'))).not.toContain('hactl')
  })

  test('that there is no room to convert stops the run before it changes anything, and leaves no lock', async () => {
    const before = fingerprint(server.root)
    server.prelude = 'ln() { echo "ln: failed to create hard link: No space left on device" >&2; return 1; }'
    await expect(cluster.deploy({ limit: ['srv-1'] })).rejects.toMatchObject({
      code: 'E_STATE_FORMAT',
      server: 'srv-1',
      why: expect.arrayContaining([expect.stringContaining('No space left on device')]),
    })
    expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
    expect(fingerprint(server.root)).toBe(before)
    server.prelude = ''
    await cluster.deploy({ limit: ['srv-1'] })
    expect(format()).toMatch(/^format 2\n/)
  })

  test('is converted again where an older version has kept another original since', async () => {
    const convert = () => server.session.run(READY_STATE, { effect: 'change', label: 'convert', deadlineMs: 10_000 })
    expect(await convert()).toMatchObject({ code: 0 })
    const path = '/etc/haproxy/late.pem'
    server.write(path, '# of hactl\n')
    server.write('/var/lib/hactl/owned', `${server.read('/var/lib/hactl/owned')}${'0'.repeat(64)}  ${join(server.root, path)}\n`)
    server.write(`/var/lib/hactl/original/${join(server.root, path).replaceAll('/', '_')}`, '# mine, late\n')
    await remove({ ...options, wait: NO_WAIT, confirm: async () => true }, cluster.ports, event => cluster.events.push(event))
    expect(server.read(path)).toBe('# mine, late\n')
    expect(server.read(CFG)).toBe('# mine\n')
  })

  test('is converted although a record has lines that name no path', async () => {
    server.write('/var/lib/hactl/owned', `${server.read('/var/lib/hactl/owned')}\nnothing\n`)
    const done = await server.session.run(READY_STATE, { effect: 'change', label: 'convert', deadlineMs: 10_000 })
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(kept('original')).toContain(copyName(join(server.root, CFG)))
  })

  test('is converted where an earlier conversion was cut off anywhere', async () => {
    const convert = (on: ShellServer) => on.session.run(READY_STATE, { effect: 'change', label: 'convert', deadlineMs: 10_000 })
    const whole = cluster.copy(server)
    expect(await convert(whole)).toMatchObject({ code: 0, stderr: '' })
    const folder = cluster.emptyFolder()
    const acting = cluster.copy(server)
    acting.prelude = `
n=100
moment() { n=$(($(ls ${folder} | wc -l)+100)); mkdir ${folder}/$n; cp -a ${acting.root} ${folder}/$n/; }
set -T
trap 'case $BASH_COMMAND in ln\\ *|mv\\ *|rm\\ *|sync\\ *) moment ;; esac' DEBUG`
    expect(await convert(acting)).toMatchObject({ code: 0 })
    const moments = readdirSync(folder)
    expect(moments.length).toBeGreaterThan(7)
    for (const name of moments) {
      const cut = movedFrom(acting.root, serverAt(join(folder, name, server.name), server.name))
      expect(await convert(cut)).toMatchObject({ code: 0, stderr: '' })
      expect(fingerprint(cut.root)).toBe(fingerprint(whole.root))
    }
  })
})
