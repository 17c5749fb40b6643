/** Who else could have made what lies in the place of keepalived's answer: a real perl, and a look by a real shell. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeProblems } from '../../src/domain/health.ts'
import { serviceTableFor } from '../../src/domain/service-scripts.ts'
import { observeNode } from '../../src/engine/observe.ts'
import { parseSections } from '../../src/engine/observe/sections.ts'
import { sourceText } from '../../src/shell/library.ts'
import { clusterWith } from '../domain/example.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'

const lacks = shellServerLacks()
if (lacks !== undefined) process.stderr.write(`keepalived's answers are not read in a real shell: ${lacks}\n`)

const PROGRAM = sourceText('keepalived-answer.pl')
const CONF = readFileSync(join(import.meta.dirname, '../../fixtures/rendered/smallest/srv-1/keepalived.conf'), 'utf8')
const ANSWER = '[{"data":{"iname":"VRRP1"}}]\n'
const [PRINTED, NONE, REFUSED] = [0, 1, 2]

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-answer-'))
  path = join(folder, 'keepalived.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** 0600, as keepalived makes it. */
const answer = (at: string, text = ANSWER) => writeFileSync(at, text, { mode: 0o600 })
const read = (at = path) => {
  const { status, stdout } = spawnSync('perl', ['-e', PROGRAM, '--', at, '1'], { encoding: 'utf8' })
  return { status, stdout }
}

test("keepalived's own answer is read once it is whole", () => {
  expect(read()).toEqual({ status: NONE, stdout: '' })
  for (const part of ['', '[', '[{"data":{}', '[{"data":{}}']) {
    answer(path, part)
    expect(read()).toEqual({ status: NONE, stdout: '' })
  }
  for (const whole of [ANSWER, '{"vrrp":[]}\n']) {
    answer(path, whole)
    expect(read()).toEqual({ status: PRINTED, stdout: whole })
  }
})

test.for<[string, () => void]>([
  ['a link to a file of ours', () => (answer(join(folder, 'ours')), symlinkSync(join(folder, 'ours'), path))],
  ['a link to nothing', () => symlinkSync(join(folder, 'nothing'), path)],
  ['a second name of a file of ours', () => (answer(join(folder, 'ours')), linkSync(join(folder, 'ours'), path))],
  ['a pipe that nobody writes to', () => void execFileSync('mkfifo', ['-m', '600', path])],
  ['a folder', () => mkdirSync(path)],
  ['a file that its group may write to', () => (answer(path), chmodSync(path, 0o620))],
  ['a file that everybody may write to', () => (answer(path), chmodSync(path, 0o602))],
  ['a file too large for an answer', () => answer(path, `[${' '.repeat(5 * 1024 * 1024)}]`)],
])('%s is not read', ([, make]) => {
  make()
  expect(read()).toEqual({ status: REFUSED, stdout: '' })
})

test.skipIf(process.getuid?.() !== 0)("another user's file is not read", () => {
  answer(path)
  chownSync(path, 65_534, 65_534)
  expect(read()).toEqual({ status: REFUSED, stdout: '' })
})

test('what another user put there first does not keep the answer from being read', async () => {
  symlinkSync('/etc/hostname', path)
  const child = spawn('perl', ['-e', PROGRAM, '--', path, '500'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  answer(join(folder, 'new'))
  renameSync(join(folder, 'new'), path)
  expect([await ended, stdout]).toEqual([PRINTED, ANSWER])
})

test.skipIf(lacks !== undefined)(
  'a server where something else lies in the place of the answers shows no instance, and how to remove it',
  async () => {
    const server = bareServer(folder, 'srv-1', 1)
    server.write('/run/keepalived.pid', '200\n')
    server.write('/proc/200/status', '')
    server.write('/world/units/keepalived/active', '')
    server.write('/world/units/keepalived/loaded', CONF)
    const look = async () => await observeNode(server.session, PROBE_REQUEST, new AbortController().signal)
    expect((await look()).instances.map(({ name }) => name)).toEqual(['VRRP1'])
    expect(nodeProblems(clusterWith(), await look()).join()).not.toContain('cannot answer')

    server.remove('/tmp/keepalived.json')
    for (const name of ['json', 'data']) mkdirSync(join(server.root, `tmp/keepalived.${name}`))
    const node = await look()
    expect(node.instances).toEqual([])
    expect(node.trackersHeld).toBeUndefined()
    expect(nodeProblems(clusterWith(), node)).toEqual(
      expect.arrayContaining([
        'keepalived runs, but shows no instance',
        'keepalived cannot answer: /tmp/keepalived.json is not a file that only root can write (rm -rf /tmp/keepalived.json on srv-1)',
        'keepalived cannot answer: /tmp/keepalived.data is not a file that only root can write (rm -rf /tmp/keepalived.data on srv-1)',
      ]),
    )
    const { code, stdout } = await server.session.run(serviceTableFor(clusterWith(), 'srv-1').keepalived.loaded, {
      effect: 'none',
      label: 'ask keepalived',
      deadlineMs: 60_000,
    })
    expect(code).toBe(1)
    expect(stdout).toContain('/tmp/keepalived.json is not a file that only root can write')
  },
  60_000,
)

test('a look prints of the data dump only the track files, removes the dumps with passwords, and is not kept waiting by what others put there', () => {
  const [data, parent] = [join(folder, 'keepalived.data'), join(folder, 'keepalived_parent.data')]
  const look = () => {
    const { stdout } = spawnSync('perl', ['-e', sourceText('keepalived-said.pl'), '--', path, data, parent], { encoding: 'utf8' })
    const sections = parseSections('srv-1', `${stdout}@@end all\n`)
    return Object.fromEntries([...sections].map(([name, text]) => [name, text.trim()]))
  }
  const held = '------< VRRP Track files >------\n   File = /run/hactl/drain\n   Status = 0\n------< VRRP Track processes >------'
  answer(path)
  answer(data, `------< VRRP Topology >------\n   Password = secret-1\n${held}\n   Password = secret-2\n`)
  answer(parent, 'secret-3')
  expect(look()).toEqual({ instances: ANSWER.trim(), held, refused: '' })
  expect(readdirSync(folder)).toEqual(['keepalived.json'])

  rmSync(path)
  execFileSync('mkfifo', ['-m', '600', path, parent])
  answer(join(folder, 'ours'), held)
  symlinkSync(join(folder, 'ours'), data)
  expect(look()).toEqual({ instances: '', held: '', refused: `${path}\n${data}` })
  expect(readFileSync(join(folder, 'ours'), 'utf8')).toBe(held)
})
