/** The program itself, as a process: what only the real streams and the real folder can show. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'

// A start takes half a second, more on a busy machine.
vi.setConfig({ testTimeout: 30_000 })

const ROOT = join(import.meta.dirname, '..')
const INVENTORY = join(ROOT, 'fixtures/inventories/smallest.yml')

/** Runs a line of shell in which "$0" "$1" is hactl. */
function shell(line: string) {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line, process.execPath, join(ROOT, 'src/main.ts'), INVENTORY], {
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { status, stdout, stderr }
}

describe('hactl', () => {
  test('reports a missing current folder, with a result', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-'))
    const gone = shell(`cd '${folder}' && rmdir '${folder}' && exec "$0" "$1" check --json`)
    expect(gone.status).toBe(3)
    expect(gone.stderr).toContain('the current folder does not exist any more')
    expect(JSON.parse(gone.stdout)).toMatchObject({ event: 'result', command: 'check', exit: 3, code: 'E_USAGE' })
    expect(() => rmdirSync(folder)).toThrow('ENOENT')
  })

  test.for([[''], ['--json']])('fails where its output cannot be written: check %s', ([flag = '']) => {
    const full = shell(`exec "$0" "$1" check "$2" ${flag} >/dev/full`)
    expect(full.status).toBe(1)
    expect(full.stderr).toContain('stdout cannot be written: ENOSPC')
    expect(full.stderr).toContain('[E_OUTPUT]')
  })

  test('prints no error where its reader has gone', () => {
    const { stdout, stderr } = shell('{ "$0" "$1" check "$2"; echo "exit $?" >&2; } | true')
    expect(stdout).toBe('')
    expect(stderr).toBe('exit 0\n')
  })

  test('reads an inventory from a pipe, with paths relative to the current folder', () => {
    const { status, stdout } = shell('cd "$(dirname "$2")" && cat "$2" | exec "$0" "$1" check /dev/stdin')
    expect(stdout).toContain('0 errors')
    expect(status).toBe(0)
  })
})
