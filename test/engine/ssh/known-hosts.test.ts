import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  entriesFor,
  fingerprint,
  judgeHostKey,
  keyTypeOf,
  knownHostsName,
  parseKnownHosts,
  renderKnownHost,
} from '../../../src/engine/ssh/known-hosts.ts'
import { makeKey } from '../../support/ssh-server.ts'

const ours = makeKey()
const theirs = makeKey()
const ecdsa = makeKey('ecdsa')
const blob = (key: { parsed: { getPublicSSH(): Buffer } }) => key.parsed.getPublicSSH()
const line = (hosts: string, key = ours, marker = '') => `${marker}${hosts} ${key.parsed.type} ${blob(key).toString('base64')} a comment\n`
const judge = (text: string, names: readonly string[], key = ours) => judgeHostKey(parseKnownHosts(text, 'known_hosts'), names, blob(key))

describe('which lines speak about a host', () => {
  test.for<[string, string, boolean]>([
    ['srv-1', 'srv-1', true],
    ['SRV-1', 'srv-1', true],
    ['srv-1', 'srv-10', false],
    ['srv-2,srv-1,192.0.2.11', 'srv-1', true],
    ['srv-2,192.0.2.11', '192.0.2.11', true],
    ['[srv-1]:2222', '[srv-1]:2222', true],
    ['srv-1', '[srv-1]:2222', false],
    ['[srv-1]:2222', 'srv-1', false],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'example.com', false],
    ['srv-?', 'srv-1', true],
    ['srv-?', 'srv-12', false],
    ['*', 'anything', true],
    ['*,!srv-1', 'srv-1', false],
    ['!srv-1,*', 'srv-1', false],
    ['!srv-2,*', 'srv-1', true],
    ['!srv-2', 'srv-1', false],
    ['192.0.2.*', '192.0.2.200', true],
    ['2001:db8::1', '2001:db8::1', true],
    [`${'*a'.repeat(30)}b`, 'a'.repeat(200), false],
  ])('%s for %s: %s', ([hosts, name, speaks]) => {
    expect(entriesFor(parseKnownHosts(line(hosts), 'f'), name)).toHaveLength(speaks ? 1 : 0)
  })

  test('names: the port is part of them unless it is 22, and case does not matter', () => {
    expect(knownHostsName('SRV-1', 22)).toBe('srv-1')
    expect(knownHostsName('2001:DB8::1', 2222)).toBe('[2001:db8::1]:2222')
  })

  test('comments, empty and damaged lines are ignored, and line numbers stay right', () => {
    const text = `# comment\n\n  ${line('a').trim()}\r\nsrv-1 ssh-ed25519\nsrv-1 ssh-rsa ${blob(ours).toString('base64')}\nsrv-1 ssh-ed25519 !!!\n@other ${line('b')}${line('c')}`
    expect(parseKnownHosts(text, 'f').map(e => [e.hosts, e.line])).toEqual([
      ['a', 3],
      ['c', 8],
    ])
  })
})

describe('the verdict', () => {
  test('the same key is known, under any of the lines for the host', () => {
    expect(judge(line('srv-1', theirs) + line('srv-1'), ['srv-1'])).toMatchObject({ kind: 'known', entry: { line: 2 } })
  })

  test('another key of the same type is a change', () => {
    expect(judge(line('srv-1', theirs), ['srv-1'])).toMatchObject({ kind: 'changed', entry: { file: 'known_hosts', line: 1 } })
  })

  test('a key of a type that is not known for a known host is not simply new', () => {
    expect(judge(line('srv-1', ecdsa), ['srv-1']).kind).toBe('other-type')
  })

  test('a revoked key is refused even where it is also listed as known', () => {
    expect(judge(line('srv-1') + line('*', ours, '@revoked '), ['srv-1'])).toMatchObject({ kind: 'revoked', entry: { line: 2 } })
    expect(judge(line('srv-1') + line('*', theirs, '@revoked '), ['srv-1']).kind).toBe('known')
  })

  test('a certificate authority does not vouch for a plain key', () => {
    expect(judge(line('*', ours, '@cert-authority '), ['srv-1'])).toMatchObject({ kind: 'unknown', authority: { line: 1 } })
  })

  test('a host on another port is known by its key under the plain name, but never changed by it', () => {
    expect(judge(line('srv-1'), ['[srv-1]:2222', 'srv-1']).kind).toBe('known')
    expect(judge(line('srv-1', theirs), ['[srv-1]:2222', 'srv-1']).kind).toBe('unknown')
    expect(judge(line('[srv-1]:2222', ecdsa) + line('srv-1'), ['[srv-1]:2222', 'srv-1']).kind).toBe('known')
    expect(judge(line('[srv-1]:2222', theirs) + line('srv-1'), ['[srv-1]:2222', 'srv-1']).kind).toBe('changed')
  })
})

test('a rendered line reads back as known, plain and hashed', () => {
  for (const salt of [undefined, Buffer.alloc(20, 7)]) {
    const text = renderKnownHost('[srv-1]:2222', blob(ours), salt)
    expect(judge(text, ['[srv-1]:2222']).kind).toBe('known')
    expect(text.includes('srv-1')).toBe(salt === undefined)
  }
})

test('the type of a malformed key is empty', () => {
  expect(keyTypeOf(Buffer.from([0, 0]))).toBe('')
  expect(keyTypeOf(Buffer.from([255, 255, 255, 255, 1]))).toBe('')
})

describe.runIf(spawnSync('ssh-keygen', ['-?']).error === undefined)('against the real ssh-keygen', () => {
  let dir = ''
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'hactl-kh-'))
  })
  afterAll(() => rmSync(dir, { recursive: true, force: true }))

  test('files that it hashed are read', () => {
    const file = join(dir, 'known_hosts')
    writeFileSync(file, line('srv-1,192.0.2.11') + line('[srv-2]:2222', theirs) + line('srv-3', ecdsa))
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' })
    const text = readFileSync(file, 'utf8')
    expect(text).not.toContain('srv')
    expect(judge(text, ['srv-1']).kind).toBe('known')
    expect(judge(text, ['192.0.2.11']).kind).toBe('known')
    expect(judge(text, ['[srv-2]:2222']).kind).toBe('changed')
    expect(judge(text, ['srv-2']).kind).toBe('unknown')
    expect(judge(text, ['srv-3']).kind).toBe('other-type')
  })

  test('it finds the lines that are written here, and prints the same fingerprint', () => {
    const file = join(dir, 'written')
    writeFileSync(file, renderKnownHost('[srv-1]:2222', blob(ours)) + renderKnownHost('srv-2', blob(theirs), Buffer.alloc(20, 3)))
    for (const [name, key] of [
      ['[srv-1]:2222', ours],
      ['srv-2', theirs],
    ] as const) {
      expect(execFileSync('ssh-keygen', ['-l', '-F', name, '-f', file], { encoding: 'utf8' })).toContain(fingerprint(blob(key)))
    }
  })
})
