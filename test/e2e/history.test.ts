/** Foreign files, the history and rollbacks. Needs: nothing; resets the lab. Leaves: a cluster with a history. */
import { beforeAll, describe, expect, test } from 'vitest'
import { copyName } from '../../src/engine/server-state/copy-name.ts'
import { expectExit, type Json, labHaproxy, labInventory, resultOf, type Run, vrrpInstance } from './support/hactl.ts'
import { openLab } from './support/lab.ts'
import { freshWorkspace } from './support/opening.ts'
import { startPoller } from './support/poller.ts'
import { liveFiles, untilHeldBy } from './support/servers.ts'

const lab = openLab()
const FOREIGN = {
  '/etc/haproxy/haproxy.cfg':
    '# mine since 2019\ndefaults\n\tmode http   \n\ttimeout connect 1s\n\ttimeout client 1s\n\ttimeout server 1s\n',
  '/etc/keepalived/keepalived.conf': '! mine too\nglobal_defs {\n}\n',
} as const
const PATHS = Object.keys(FOREIGN) as readonly (keyof typeof FOREIGN)[]
// For what installs packages: seconds, on a busy machine minutes.
const PATIENCE_MS = 300_000

interface Entry {
  readonly id: string
  readonly owner: string
  readonly command: string
  readonly source: string
  readonly servers: readonly {
    readonly name: string
    readonly changed: readonly string[]
    readonly files: readonly { readonly path: string; readonly sha256: string }[]
  }[]
}

/** Slower than the default, so that a busy machine does not move the address by itself. */
const inventory = (client: string, over: Json = {}) =>
  labInventory(lab, {
    vrrp_script: { interval: 3, timeout: 3, fall: 3 },
    vrrp_instances: [vrrpInstance(lab, { advert_int: 0.5 })],
    haproxy: labHaproxy(lab, { defaults: [`timeout client ${client}`] }),
    ...over,
  })
const work = freshWorkspace(lab, inventory('31s'))

const history = async () => {
  const result = resultOf(await work.hactl(['history', '--json'])) as unknown as { readonly entries: readonly Entry[] }
  return result.entries
}
const deploy = async (client: string): Promise<Run> => {
  work.writeInventory(inventory(client))
  const run = await work.hactl(['deploy', '--yes', '--json'])
  expectExit(run, 0)
  return run
}
const sums = (server: string, paths: readonly string[]) =>
  lab.sh(server, `stat -c '%a %U %G %n' ${paths.join(' ')}; sha256sum ${paths.join(' ')}`)

beforeAll(async () => {
  for (const path of PATHS) {
    const text = Buffer.from(FOREIGN[path]).toString('base64')
    await lab.sh('srv-2', `mkdir -p ${path.slice(0, path.lastIndexOf('/'))}; echo ${text} | base64 -d >${path}; chmod 0604 ${path}`)
  }
})

let original = ''

describe('files that hactl did not make', () => {
  test('stop the deploy with a diff, before anything changes on any server', async () => {
    original = await sums('srv-2', PATHS)
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expect(run.exit).toBe(5)
    expect(run.stderr).toMatch(/E_FOREIGN_FILE/)
    for (const path of PATHS) expect(run.stderr).toContain(path)
    expect(run.stderr).toContain('-# mine since 2019')
    expect(run.stderr).toContain('--adopt')
    expect(await sums('srv-2', PATHS)).toBe(original)
    expect(await lab.everywhere('dpkg-query -W haproxy 2>/dev/null | grep -c . ; ls /var/lib/hactl/owned 2>/dev/null; true')).toEqual(
      lab.servers.map(() => '0\n'),
    )
  })

  test('are replaced with --adopt, which keeps a copy of them', { timeout: PATIENCE_MS + 20_000 }, async () => {
    expectExit(await work.hactl(['deploy', '--yes', '--json', '--adopt'], { limitMs: PATIENCE_MS }), 0)
    await untilHeldBy(lab, 'srv-1')
    const kept = PATHS.map(path => `/var/lib/hactl/original/${copyName(path)}`)
    const withoutNames = (text: string) => text.replaceAll(/ \S+$/gm, '')
    expect(withoutNames(await sums('srv-2', kept))).toBe(withoutNames(original))
  })
})

describe('the history', () => {
  test('shows for every deploy who, when, from which inventory, what changed, and the files afterwards', async () => {
    await deploy('32s')
    const [newest, oldest, ...more] = await history()
    expect(more).toEqual([])
    if (newest === undefined || oldest === undefined) throw new Error('two entries')
    for (const entry of [newest, oldest]) {
      expect(entry).toMatchObject({ command: 'deploy', owner: expect.stringMatching(/^tester@/) })
      expect(entry.id).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{6}$/)
      expect(entry.source).toMatch(/^inventory\.yml [0-9a-f]{12}$/)
      expect(entry.servers.map(({ name }) => name)).toEqual(lab.servers.map(({ name }) => name))
    }
    expect(newest.id > oldest.id).toBe(true)
    expect(newest.source).not.toBe(oldest.source)
    expect(newest.servers.map(({ changed }) => changed)).toEqual(lab.servers.map(() => ['file/haproxy.cfg', 'service/haproxy']))
    expect(oldest.servers[0]?.changed).toEqual(expect.arrayContaining(['package/haproxy', 'file/keepalived.conf']))
    for (const { name, files } of newest.servers) {
      const listed = files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).toSorted()
      const there = await lab.sh(name, `sha256sum ${files.map(({ path }) => path).join(' ')}`)
      expect(listed.join('')).toBe(
        there
          .split('\n')
          .filter(line => line !== '')
          .map(line => `${line}\n`)
          .toSorted()
          .join(''),
      )
      expect(files.map(({ path }) => path)).toEqual(expect.arrayContaining([...PATHS]))
    }
  })

  test('can be rolled back to: the last entry without an id, any entry by the beginning of its id', async () => {
    const second = await liveFiles(lab)
    await deploy('33s')
    const back = await work.hactl(['rollback', '--yes', '--json'])
    expectExit(back, 0)
    expect(await liveFiles(lab)).toEqual(second)
    const first = (await history()).at(-1)
    const toFirst = await work.hactl(['rollback', first?.id.slice(0, -3) ?? '', '--yes', '--json'])
    expectExit(toFirst, 0)
    expect(await lab.everywhere('grep -c "timeout client 31s" /etc/haproxy/haproxy.cfg')).toEqual(['1\n', '1\n', '1\n'])
    expect((await history()).map(({ command, source }) => [command, source.replace(/^inventory.*/, '')])).toEqual([
      ['rollback', `back to ${first?.id}`],
      ['rollback', expect.stringMatching(/^back to /)],
      ['deploy', ''],
      ['deploy', ''],
      ['deploy', ''],
    ])
  })
})

describe('a deploy whose final check fails', () => {
  test('restores the whole cluster, and says why with lines of the journal', async () => {
    const before = await liveFiles(lab)
    // haproxy -c accepts it, every server loads it, and it answers 503: only a probe through the address shows that.
    const answersNobody = labHaproxy(lab, { defaults: ['timeout client 34s'], frontends: [{ name: 'web', bind: [':80'], mode: 'http' }] })
    work.writeInventory(inventory('34s', { haproxy: answersNobody, probe: { path: '/', status: 200 } }))
    const run = await work.hactl(['deploy', '--yes', '--json'])
    expect(run.exit).toBe(6)
    expect(run.stderr).toContain('[E_GATE]')
    expect(run.stderr).toMatch(/does not answer \(HTTP 503/)
    // What haproxy or keepalived logged meanwhile, by server.
    expect(run.stderr).toMatch(/srv-\d: \S+/)
    expect(run.lines.filter(line => line.event === 'restored').map(line => line.server)).toEqual(['srv-1', 'srv-2', 'srv-3'])
    expect(await liveFiles(lab)).toEqual(before)
    expect((await history())[0]?.command).toBe('rollback')
    const poller = await startPoller(lab.vip)
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(await poller.stop()).toMatchObject({ failed: 0 })
  })
})
