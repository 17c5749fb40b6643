import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { renderCompletion, SHELLS } from '../../src/cli/completion.ts'
import { COMMANDS, GLOBAL_FLAGS } from '../../src/cli/program.ts'

const TABLE = { commands: COMMANDS, globalFlags: GLOBAL_FLAGS }

/** What bash offers for a line: its last word is the one being completed. */
function completeInBash(...line: string[]): string[] {
  const words = line.map(word => `'${word}'`).join(' ')
  const script = `${renderCompletion('bash', TABLE)}\nCOMP_WORDS=(${words}); COMP_CWORD=${line.length - 1}; _hactl; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-c', script], {
    encoding: 'utf8',
    input: '',
    env: { PATH: '/usr/bin:/bin', HACTL_INVENTORY: 'fixtures/inventories/smallest.yml' },
  })
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  return stdout.split('\n').filter(word => word !== '')
}

test.for(SHELLS)('%s completes every command and its flags', shell => {
  const script = renderCompletion(shell, TABLE)
  for (const spec of COMMANDS) {
    expect(script).toContain(spec.name)
    for (const { flags } of spec.flags) {
      const long = /--([a-z-]+)/.exec(flags)?.[1] ?? ''
      expect(script).toContain(long)
    }
  }
})

describe('bash', () => {
  test('completes commands', () => {
    expect(completeInBash('hactl', 'st')).toEqual(['status'])
  })

  test('completes the flags of the command that was typed, and the global ones', () => {
    expect(completeInBash('hactl', 'deploy', '--a')).toEqual(['--adopt', '--ask-become-pass'])
    expect(completeInBash('hactl', '--json', 'plan', '--e')).toEqual(['--exit-code'])
  })

  test('completes values from closed sets, and servers from the inventory', () => {
    expect(completeInBash('hactl', 'setup', '--profile', '')).toEqual(['fast', 'classic'])
    expect(completeInBash('hactl', 'completion', 'z')).toEqual(['zsh'])
    expect(completeInBash('hactl', 'plan', '--limit', 'srv')).toEqual(['srv-1', 'srv-2', 'srv-3'])
  })
})
