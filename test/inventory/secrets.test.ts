import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { HactlError } from '../../src/errors.ts'
import type { SecretSource } from '../../src/inventory/inventory.ts'
import { resolveSecret, type SecretDeps } from '../../src/inventory/secrets.ts'
import { failureOf } from '../support/thrown.ts'

const key = 'vrrp_instances[0].authentication.auth_pass'

function deps(changes: Partial<SecretDeps> = {}): SecretDeps {
  return {
    key,
    env: {},
    home: '/home/ops',
    baseDir: '/srv/edge',
    readFile: () => Promise.resolve(undefined),
    localCommand: () => Promise.reject(new Error('no command was expected')),
    ...changes,
  }
}

const filesWith = (contents: Readonly<Record<string, string | Buffer>>) => ({
  readFile: (path: string) => Promise.resolve(contents[path] === undefined ? undefined : Buffer.from(contents[path])),
})
const commandWith = (code: number, stdout: string, stderr = '') => ({ localCommand: () => Promise.resolve({ code, stdout, stderr }) })
const reveal = async (source: SecretSource, changes: Partial<SecretDeps>) => (await resolveSecret(source, deps(changes))).reveal()

const refusal = (source: SecretSource, changes: Partial<SecretDeps>) => failureOf(resolveSecret(source, deps(changes)))

describe('resolveSecret', () => {
  test('takes a variable of the environment unchanged', async () => {
    expect(await reveal({ env: 'P' }, { env: { P: ' a"b ' } })).toBe(' a"b ')
  })

  test("finds a file from the inventory's folder, from the home folder and by its absolute path", async () => {
    const files = filesWith({ '/srv/edge/keys/p': 'one', '/home/ops/.p': 'two', '/etc/p': 'three' })
    expect(await reveal({ file: 'keys/p' }, files)).toBe('one')
    expect(await reveal({ file: '~/.p' }, files)).toBe('two')
    expect(await reveal({ file: '/etc/p' }, files)).toBe('three')
  })

  test.for([
    ['pass\n', 'pass'],
    ['pass\r\n', 'pass'],
    ['pass ', 'pass '],
    ['pass', 'pass'],
  ])('drops one newline at the end: %j', async ([text = '', secret]) => {
    expect(await reveal({ file: 'p' }, filesWith({ '/srv/edge/p': text }))).toBe(secret)
    expect(await reveal({ command: 'x' }, commandWith(0, text))).toBe(secret)
  })

  test('runs a command in a shell, for at most 30 s', async () => {
    const calls: unknown[] = []
    const localCommand: SecretDeps['localCommand'] = (argv, options) => {
      calls.push([argv, options])
      return Promise.resolve({ code: 0, stdout: 'pass\n', stderr: '' })
    }
    expect(await reveal({ command: 'pass show x | head -n 1' }, { localCommand })).toBe('pass')
    expect(calls).toEqual([[['sh', '-c', 'pass show x | head -n 1'], { timeoutMs: 30_000 }]])
  })

  test('takes a literal', async () => {
    expect(await reveal({ literal: 'pass1234' }, {})).toBe('pass1234')
  })

  test('gives a Secret, which no view shows', async () => {
    const secret = await resolveSecret({ literal: 'hunter2' }, deps())
    expect(`${String(secret)} ${JSON.stringify(secret)} ${inspect(secret)}`).not.toContain('hunter2')
  })

  test.for([
    ['an unset variable', { env: 'P' }, {}, 'the environment variable P is not set'],
    ['a variable that objects inherit', { env: 'constructor' }, {}, 'the environment variable constructor is not set'],
    ['an empty variable', { env: 'P' }, { env: { P: '' } }, 'the secret is empty'],
    ['a missing file', { file: 'p' }, {}, 'there is no file /srv/edge/p'],
    ['an unreadable file', { file: 'p' }, { readFile: () => Promise.reject(new Error('EACCES')) }, 'the file /srv/edge/p cannot be read'],
    ['an empty file', { file: 'p' }, filesWith({ '/srv/edge/p': '\n' }), 'the secret is empty'],
    ['a large file', { file: 'p' }, filesWith({ '/srv/edge/p': 'x'.repeat(5000) }), 'the file /srv/edge/p is larger than 4096 bytes'],
    ['a binary file', { file: 'p' }, filesWith({ '/srv/edge/p': Buffer.from([0xff, 0xfe]) }), 'the file /srv/edge/p is not UTF-8 text'],
    ['a failed command', { command: 'x' }, commandWith(3, 'hunter2'), 'the command ended with status 3'],
    ['a command without output', { command: 'x' }, commandWith(0, ''), 'the secret is empty'],
    ['a command with several lines', { command: 'x' }, commandWith(0, 'hunter2\nuser: ops\n'), 'the secret has more than one line'],
    ['a secret with a control character', { env: 'P' }, { env: { P: 'a\u001bb' } }, 'the secret holds a control character'],
  ] as const)('refuses %s with E_SECRET, naming the key', async ([, source, changes, what]) => {
    const error = await refusal(source, changes)
    expect({ code: error.code, what: error.message }).toEqual({ code: 'E_SECRET', what: `${key}: ${what}` })
    expect(error.fix).toMatch(/\S/)
  })

  test.for([
    ['fails', commandWith(1, 'hunter2', 'hunter2')],
    ['prints too much', commandWith(0, 'hunter2\n'.repeat(3))],
    ['cannot be run', { localCommand: () => Promise.reject(new Error('spawn: hunter2')) }],
    ['takes too long', commandWith(124, 'hunter2')],
  ] as const)('shows neither the command nor its output where it %s', async ([, changes]) => {
    const error = await refusal({ command: 'echo hunter2' }, changes)
    expect(inspect(error, { depth: 9 }).replaceAll(/^ +at .*$/gm, '')).not.toContain('hunter2')
  })

  test('says that a command took too long', async () => {
    const error = await refusal({ command: 'sleep 60' }, commandWith(124, ''))
    expect(error.message).toBe(`${key}: the command did not end within 30 s`)
  })

  test('passes an interrupt on', async () => {
    const interrupt = new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' })
    expect(await refusal({ command: 'x' }, { localCommand: () => Promise.reject(interrupt) })).toBe(interrupt)
  })

  test('warns of a file that all users can read, where modes are known', async () => {
    const warnings: string[] = []
    const files = { ...filesWith({ '/srv/edge/p': 'x' }), warn: (message: string) => warnings.push(message) }
    await reveal({ file: 'p' }, { ...files, fileMode: () => Promise.resolve(0o640) })
    expect(warnings).toEqual([])
    await reveal({ file: 'p' }, { ...files, fileMode: () => Promise.resolve(0o644) })
    expect(warnings).toEqual([`${key}: everybody on this machine can read /srv/edge/p; run chmod 600 /srv/edge/p`])
  })
})
