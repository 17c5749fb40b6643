import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'

const lacks = shellServerLacks()
if (lacks !== undefined) process.stderr.write(`keepalived's track files are not read in a real shell: ${lacks}\n`)

const CONF = readFileSync(join(import.meta.dirname, '../../fixtures/rendered/smallest/srv-1/keepalived.conf'), 'utf8')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-held-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.skipIf(lacks !== undefined)(
  'what keepalived holds for its track files is read, and its dump, which may have a password in it, does not stay',
  async () => {
    const server = bareServer(folder, 'srv-1', 1)
    server.write('/run/keepalived.pid', '200\n')
    server.write('/proc/200/status', '')
    server.write('/world/units/keepalived/loaded', CONF)
    server.write('/run/hactl/drain', '-253\n')
    const look = () => observeNode(server.session, PROBE_REQUEST, new AbortController().signal)
    const node = await look()
    expect(node.trackers).toEqual({ '/run/hactl/drain': '-253' })
    expect(node.trackersHeld).toEqual({ '/run/hactl/drain': -253 })
    expect(server.read('/tmp/keepalived.data')).toBeUndefined()
    expect(node.isDamped).toBeUndefined()

    server.write('/run/systemd/transient/haproxy-hactl-damping.timer', '')
    expect((await look()).isDamped).toBe(true)

    server.remove('/run/keepalived.pid')
    expect((await look()).trackersHeld).toBeUndefined()
  },
  60_000,
)
