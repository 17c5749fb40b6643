import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { hookLine, shellArgument } from '../../src/domain/systemd.ts'
import { hookScript } from './unit-file.ts'

describe('a shell script in an Exec line', () => {
  test('is one double-quoted argument that systemd expands nothing in', () => {
    expect(shellArgument(['echo "$HOME" 100% \\n'])).toBe('"echo \\"$$HOME\\" 100%% \\\\n"')
  })

  test('goes on over lines', () => {
    expect(shellArgument(['a;', 'b'])).toBe('"a; \\\n    b"')
  })

  test('reads back as it was, and runs', () => {
    const lines = ['x="a b";', `printf '%s|%s\\n' "$x" "$$"`]
    const script = hookScript(hookLine('ExecStop', lines), 'ExecStop')
    expect(script.replace(/; +/, ';')).toBe(lines.join(''))
    expect(execFileSync('sh', ['-c', script]).toString()).toMatch(/^a b\|\d+\n$/)
  })

  test('begins with a dash: what fails in it stops no service', () => {
    expect(hookLine('ExecStartPost', ['true'])).toBe('ExecStartPost=-/bin/sh -c "true"')
  })
})
