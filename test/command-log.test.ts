import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { commandLogPath, createCommandLog } from '../src/command-log.ts'

const NOON = Date.UTC(2026, 10, 22, 12)
const entry = {
  server: 'srv-1',
  label: 'take the lock',
  startedAtMs: NOON,
  durationMs: 12.4,
  code: 0,
  script: 'echo ***',
  stdoutTail: '',
  stderrTail: '',
}

const folders: string[] = []
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'hactl-log-'))
  folders.push(made)
  return made
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true, force: true })
})

test('the log is one file a day in the state folder, unless --log names another', () => {
  const env = { XDG_STATE_HOME: '/var/state' }
  expect(commandLogPath(['plan'], {}, '/home/ops', '/srv', NOON)).toBe('/home/ops/.local/state/hactl/log/2026-11-22.jsonl')
  expect(commandLogPath(['plan'], env, '/home/ops', '/srv', NOON)).toBe('/var/state/hactl/log/2026-11-22.jsonl')
  expect(commandLogPath(['plan'], { XDG_STATE_HOME: 'relative' }, '/home/ops', '/srv', NOON)).toContain('/home/ops/.local/state')
  expect(commandLogPath(['plan', '--log', 'x.jsonl'], env, '/home/ops', '/srv', NOON)).toBe('/srv/x.jsonl')
  expect(commandLogPath(['plan', '--log=/tmp/x'], env, '/home/ops', '/srv', NOON)).toBe('/tmp/x')
})

test('a folder in which no folder can be made is reported, and does not stop the work', () => {
  const told: string[] = []
  createCommandLog('/proc/hactl/log/2026-11-22.jsonl', why => told.push(why))(entry)
  expect(told).toEqual([expect.stringContaining('/proc/hactl/log/2026-11-22.jsonl cannot be written: ENOENT')])
})

test('every command is one line, in a file that only its owner can read', () => {
  const path = join(folder(), 'deep/log/2026-11-22.jsonl')
  const log = createCommandLog(path, why => expect.fail(why))
  log(entry)
  log({ ...entry, code: undefined })
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  expect(lines.map(line => JSON.parse(line) as unknown)).toMatchObject([
    { at: '2026-11-22T12:00:00.000Z', server: 'srv-1', duration_ms: 12, exit: 0, script: 'echo ***' },
    { exit: null },
  ])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
})

test('daily files are removed after thirty days, and other files beside a file that --log names are kept', () => {
  const kept = folder()
  for (const name of ['2026-10-01.jsonl', '2026-11-01.jsonl', 'notes.txt']) writeFileSync(join(kept, name), '')
  createCommandLog(join(kept, 'own.log'), () => {})(entry)
  expect(readdirSync(kept)).toContain('2026-10-01.jsonl')
  createCommandLog(join(kept, '2026-11-22.jsonl'), () => {})(entry)
  expect(readdirSync(kept).sort()).toEqual(['2026-11-01.jsonl', '2026-11-22.jsonl', 'notes.txt', 'own.log'])
})

test('a log that cannot be written is reported once and does not stop the work', () => {
  const path = folder()
  const told: string[] = []
  const log = createCommandLog(path, why => told.push(why))
  log(entry)
  log(entry)
  expect(told).toHaveLength(1)
  expect(told[0]).toContain(path)
})
