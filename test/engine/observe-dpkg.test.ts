import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'

const lacks = shellServerLacks()
if (lacks !== undefined) process.stderr.write(`dpkg's state is not read in a real shell: ${lacks}\n`)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-dpkg-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.skipIf(lacks !== undefined)(
  'an installation that somebody else is at just now is not taken for one that was cut off',
  async () => {
    const server = bareServer(folder, 'srv-1', 1)
    const lock = '/var/lib/dpkg/lock-frontend'
    server.write(lock, '')
    server.write('/var/lib/dpkg/updates/0000', 'Package: curl\n')
    const isBroken = async () => (await observeNode(server.session, PROBE_REQUEST, new AbortController().signal)).dpkgBroken
    expect(await isBroken()).toBe(true)
    server.write('/proc/locks', `1: POSIX  ADVISORY  WRITE 321 08:01:${statSync(join(server.root, lock)).ino} 0 EOF\n`)
    expect(await isBroken()).toBe(false)
  },
  60_000,
)
