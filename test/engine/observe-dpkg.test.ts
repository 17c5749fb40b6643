import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()

test('a running installation of another process is not taken for one that was cut off', {
  ...unlessLacking(shellServerLacks()),
  timeout: 60_000,
}, async () => {
  const server = bareServer(folder(), 'srv-1', 1)
  const lock = '/var/lib/dpkg/lock-frontend'
  server.write(lock, '')
  server.write('/var/lib/dpkg/updates/0000', 'Package: curl\n')
  const isBroken = async () => (await observeNode(server.session, PROBE_REQUEST, new AbortController().signal)).dpkgBroken
  expect(await isBroken()).toBe(true)
  server.write('/proc/locks', `1: POSIX  ADVISORY  WRITE 321 08:01:${statSync(join(server.root, lock)).ino} 0 EOF\n`)
  expect(await isBroken()).toBe(false)
})
