import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { halfWritten, halfWrittenState, KEPT, parseSums } from './half-written.ts'
import { unlessLacking } from './lacking.ts'
import { haproxyCfg, type ShellCluster, shellCluster } from './shell-cluster.ts'
import { type ShellServer, shellServerLacks } from './shell-server.ts'

const [OLD, NEW, SHIPPED, TORN] = ['0', '1', '2', '3'].map(digit => digit.repeat(32)) as [string, string, string, string]
const sums = (sum: string, path = '/etc/haproxy/haproxy.cfg') => parseSums(`${sum}  ${path}\n`)
const NONE = parseSums('')

test('what md5sum prints is read with names that have spaces', () => {
  expect([...parseSums(`${OLD}  /etc/a b\n${NEW}  /etc/c\n`)]).toEqual([
    ['/etc/a b', OLD],
    ['/etc/c', NEW],
  ])
})

test.each([OLD, NEW, SHIPPED])('a file as it was, as it shall be, or as its package ships it is whole', sum => {
  expect(halfWritten(sums(sum), sums(OLD), sums(NEW), sums(SHIPPED))).toEqual([])
})

test('anything else is half-written, also a file that nobody knows', () => {
  expect(halfWritten(sums(TORN), sums(OLD), sums(NEW), sums(SHIPPED))).toEqual([`/etc/haproxy/haproxy.cfg ${TORN}`])
  expect(halfWritten(sums(TORN, '/etc/haproxy/.new'), sums(OLD), sums(NEW), NONE)).toHaveLength(1)
})

test('an empty file is whole only where it was empty before, or is shipped empty', () => {
  const empty = sums(createHash('md5').digest('hex'))
  expect(halfWritten(empty, NONE, empty, NONE)).toHaveLength(1)
  expect(halfWritten(empty, empty, empty, NONE)).toEqual([])
  expect(halfWritten(empty, NONE, empty, empty)).toEqual([])
})

test('a file that is not there is not half-written', () => {
  expect(halfWritten(NONE, sums(OLD), sums(NEW), NONE)).toEqual([])
})

describe('what hactl keeps for itself', unlessLacking(shellServerLacks()), () => {
  const STATE_DIR = '/var/lib/hactl'
  let cluster: ShellCluster
  let server: ShellServer
  beforeAll(async () => {
    cluster = shellCluster()
    await cluster.deploy()
    // In the middle of a second deploy.
    cluster.files.set('haproxy.cfg', haproxyCfg('two'))
    const [first] = cluster.servers
    if (first === undefined) throw new Error('no server')
    server = first
    const actions = (await cluster.plan([server])).plan.servers[0]?.actions ?? []
    await cluster.prepare(server, actions)
    await cluster.switch(server, actions)
  }, 120_000)
  afterAll(() => cluster.remove())

  function wrongOf({ root }: ShellServer): readonly string[] {
    const { stdout } = spawnSync('sh', ['-c', KEPT.replaceAll(STATE_DIR, join(root, STATE_DIR))], { encoding: 'utf8' })
    expect(stdout.split('\n').length).toBeGreaterThan(20)
    return halfWrittenState(stdout)
  }

  test('is whole after a deploy, and in the middle of one', () => {
    expect(wrongOf(server)).toEqual([])
  })

  /** What an empty file of means no harm: nobody reads it, or hactl takes it for absent. */
  const HARMLESS =
    /^(?:lock\/|lock\.mutex|switch\.mutex|loaded\/|runs\/[^/]+\/(?:staged\/|entry\.json|previous\/record|previous\/owned|undone|apt\.log)|installed)/

  test('is half-written wherever a file that hactl reads is empty, or ends in the middle of a line', () => {
    const root = join(server.root, STATE_DIR)
    const paths = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1))
      .filter(path => !HARMLESS.test(path))
    const kinds = ['format', 'owned', 'members', 'original/units', 'history/', 'runs/']
    expect(kinds.filter(kind => !paths.some(path => path.startsWith(kind)))).toEqual([])
    for (const path of paths) {
      const whole = readFileSync(join(root, path))
      for (const length of [0, Math.ceil(whole.length / 2)]) {
        // Nobody has its checksum: it is not seen to be cut short, only to be empty.
        if (length > 0 && /^(?:original|runs\/[^/]+\/previous)\/[0-9a-f]{64}-/.test(path)) continue
        if (length === 0 && /^original\/(?:units|sysctl)$/.test(path)) continue
        truncateSync(join(root, path), length)
        expect([path, length, wrongOf(server).length > 0]).toEqual([path, length, true])
      }
      writeFileSync(join(root, path), whole)
    }
  }, 120_000)
})
