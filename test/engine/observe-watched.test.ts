/** Whether keepalived watches the folder of its track files, as the kernel shows what a process watches: a look by a real shell. */
import { mkdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { unlessLacking } from '../support/lacking.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()
const CONF = readFileSync(join(import.meta.dirname, '../../fixtures/rendered/smallest/srv-1/keepalived.conf'), 'utf8')

test('a folder of track files that was made again is not taken for the one that keepalived watches', {
  ...unlessLacking(shellServerLacks()),
  timeout: 60_000,
}, async () => {
  const server = bareServer(folder(), 'srv-1', 1)
  const isWatched = async () => (await observeNode(server.session, PROBE_REQUEST, new AbortController().signal)).trackersWatched
  const tracks = join(server.root, 'run/hactl')
  server.write('/run/hactl/drain', '0\n')
  server.write('/world/units/keepalived/loaded', CONF)
  server.write('/run/keepalived.pid', '200\n')
  server.write('/proc/200/status', '')
  // Without a file of what it has open, nothing is known.
  expect(await isWatched()).toBeUndefined()

  // The child watches, as keepalived's VRRP process does.
  server.write('/proc/200/task/200/children', '201 202 ')
  for (const pid of [200, 201, 202]) server.write(`/proc/${pid}/fdinfo/0`, 'pos:\t0\n')
  server.write('/proc/202/fdinfo/7', `pos:\t0\ninotify wd:1 ino:${statSync(tracks).ino.toString(16)} sdev:19 mask:fc6\n`)
  expect(await isWatched()).toBe(true)

  renameSync(tracks, join(server.root, 'run/hactl-before'))
  mkdirSync(tracks)
  expect(await isWatched()).toBe(false)
})
