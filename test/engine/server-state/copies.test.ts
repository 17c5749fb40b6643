/** Records and copies on a server: no file is taken for another, however similar their paths are. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { removeScript } from '../../../src/engine/apply/remove.ts'
import { finishScript } from '../../../src/engine/apply/switch.ts'
import { parseSnapshot, snapshotScript } from '../../../src/engine/history.ts'
import { copyName } from '../../../src/engine/server-state/copy-name.ts'
import { onState } from '../../../src/engine/server-state/layout.ts'
import type { Action } from '../../../src/state/plan.ts'
import { LOCK_ID, RUN_ID, type ShellCluster, shellCluster } from '../../support/shell-cluster.ts'
import { type ShellServer, shellServerLacks } from '../../support/shell-server.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 })

/** Paths of the inventory's grammar from few characters, so that many are similar; the same for the same seed. */
function alikePaths(seed: number, count: number): readonly string[] {
  let state = seed
  const below = (limit: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % limit
  }
  const word = () => Array.from({ length: 1 + below(4) }, () => 'ab._-'[below(5)]).join('')
  const part = () => `a${word()}`
  const paths = Array.from({ length: count * 2 }, () => `/etc/haproxy/t/${Array.from({ length: 1 + below(3) }, part).join('/')}.pem`)
  // A file is no folder of another.
  return [...new Set(paths)].slice(0, count)
}

const ALIKE = [
  '/etc/haproxy/site/a.pem',
  '/etc/haproxy/site_a.pem',
  '/etc/haproxy/www-example.com.pem',
  '/etc/haproxy/www.example.com.pem',
  '/etc/haproxy/b.d/a.pem',
  '/etc/haproxy/b.d--a.pem',
  '/etc/haproxy/x/a.pem',
]

test('two paths never have the same name for their copies', () => {
  const paths = [...ALIKE, ...alikePaths(1, 5000)]
  expect(paths.length).toBeGreaterThan(1000)
  expect(new Set(paths.map(copyName)).size).toBe(paths.length)
})

test('the copy of a path has the same name on the server and here', () => {
  const paths = [...ALIKE, ...alikePaths(2, 50)]
  const script = onState('state.sh')`for path in ${paths}; do copy_name "$path"; echo; done`
  const { stdout } = spawnSync('sh', ['-c', script.raw], { encoding: 'utf8' })
  expect(stdout.trimEnd().split('\n')).toEqual(paths.map(copyName))
})

describe.skipIf(shellServerLacks() !== undefined)('files whose paths are alike', () => {
  let cluster: ShellCluster
  let bare: ShellServer
  let server: ShellServer

  const writes = (contents: ReadonlyMap<string, string>): readonly Action[] =>
    [...contents].map(([path, after], at) => ({
      kind: 'write-file',
      id: `file/certificates/${at}`,
      path,
      reason: 'new',
      before: undefined,
      beforeSha256: undefined,
      after,
      mode: '0600',
      owner: 'root',
      group: 'root',
      masks: [],
      validation: undefined,
    }))
  /** As writes, over the present files. */
  const overwrites = (contents: ReadonlyMap<string, string>): readonly Action[] =>
    writes(contents).map(action => {
      const now = action.kind === 'write-file' ? server.read(action.path) : undefined
      return now === undefined ? action : ({ ...action, beforeSha256: createHash('sha256').update(now).digest('hex') } as Action)
    })
  const contents = (paths: readonly string[], word: string) => new Map(paths.map(path => [path, `${path} ${word}\n`]))
  const there = (paths: readonly string[]) => new Map(paths.map(path => [path, server.read(path)]))
  const change = async (actions: readonly Action[]) => {
    expect(await cluster.prepare(server, actions)).toMatchObject({ code: 0 })
    expect(await cluster.switch(server, actions)).toMatchObject({ code: 0 })
  }
  const finish = async (id: string) => {
    const entry = { id, owner: 'ops@laptop', command: 'deploy', cluster: 'edge', source: 'inventory.yml', changed: [] } as const
    expect(await server.session.run(finishScript(entry, LOCK_ID), { effect: 'change', label: 'finish', deadlineMs: 10_000 })).toMatchObject(
      { code: 0 },
    )
  }
  const snapshot = async (id: string) => {
    const { stdout } = await server.session.run(snapshotScript(id), { effect: 'change', label: 'read', deadlineMs: 10_000 })
    return new Map(parseSnapshot(stdout)?.files.map(({ path, content }) => [path, content]))
  }

  beforeAll(() => {
    cluster = shellCluster(['srv-1'])
    const [first] = cluster.servers
    if (first === undefined) throw new Error('no server')
    bare = first
  })
  afterAll(() => cluster.remove())

  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['as they were reported', ALIKE],
    ['in the other order', ALIKE.toReversed()],
    ...[3, 4, 5].map((seed): readonly [string, readonly string[]] => [`made from seed ${seed}`, alikePaths(seed, 14)]),
  ]
  test.for(cases)('are put back, recorded and given back byte for byte: %s', async ([, all]) => {
    // A path that is another path's folder cannot be a file.
    const paths = all.filter(path => !all.some(other => other.startsWith(`${path}/`)))
    server = cluster.copy(bare)
    const [mine, one, two] = ['mine', 'one', 'two'].map(word => contents(paths, word)) as [
      Map<string, string>,
      Map<string, string>,
      Map<string, string>,
    ]
    // Every second one exists before hactl writes it.
    const theirs = paths.filter((_, at) => at % 2 === 0)
    for (const path of theirs) server.write(path, mine.get(path) ?? '')
    const before = there(paths)
    await change(overwrites(one))
    await finish('20260101T000000Z-0001')
    expect(there(paths)).toEqual(one)
    await change(overwrites(two))
    expect(there(paths)).toEqual(two)
    expect(await cluster.restore(server)).toMatchObject({ code: 0 })
    expect(there(paths)).toEqual(one)
    server.remove('/var/lib/hactl/runs')
    await change(overwrites(two))
    await finish('20260101T000000Z-0002')
    expect(await snapshot('20260101T000000Z-0001')).toEqual(one)
    expect(await snapshot('20260101T000000Z-0002')).toEqual(two)
    const done = await server.session.run(
      removeScript(LOCK_ID, { services: await cluster.services(server), watchedFolder: '/run/hactl', waits: { patience: 1, stopMs: 0 } }),
      {
        effect: 'change',
        label: 'remove',
        deadlineMs: 20_000,
      },
    )
    expect(done).toMatchObject({ code: 0 })
    expect(there(paths)).toEqual(before)
    expect(server.read(`/var/lib/hactl/runs/${RUN_ID}/previous/record`)).toBeUndefined()
  })
})
