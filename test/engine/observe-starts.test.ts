/**
 * How many programs a look starts. The start of one takes a server longer than what the program reads, so that each costs every command of
 * hactl's. The look runs in a real shell, and what it starts is noted by a folder before all others in PATH.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { unlessLacking } from '../support/lacking.ts'
import { PROBE_REQUEST } from '../support/probe-request.ts'
import { bareServer, type ShellServer, shellServerLacks } from '../support/shell-server.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()
const CONF = readFileSync(join(import.meta.dirname, '../../fixtures/rendered/smallest/srv-1/keepalived.conf'), 'utf8')
const NOTED = ['perl', 'dpkg-query', 'stat', 'base64', 'cat']
const NOTES = '/world/started'

/** A program of each name that notes its own start and becomes the one that comes next in PATH. */
function noteStarts(server: ShellServer): void {
  const programs = join(server.root, 'world/noted')
  mkdirSync(programs)
  for (const name of NOTED) {
    writeFileSync(join(programs, name), `#!/bin/sh\necho ${name} >>"$ROOT${NOTES}"\nPATH=\${PATH#*:}\nexec ${name} "$@"\n`)
    chmodSync(join(programs, name), 0o755)
  }
  server.prelude = `PATH=${programs}:$PATH`
}

/** By program. */
async function startsOf(server: ShellServer) {
  server.remove(NOTES)
  const node = await observeNode(server.session, PROBE_REQUEST, new AbortController().signal)
  const names = (server.read(NOTES) ?? '').trim().split('\n')
  return { node, starts: Object.fromEntries(NOTED.map(name => [name, names.filter(started => started === name).length])) }
}

test('a look starts perl once for both answers of keepalived and once for all files, dpkg-query once, and nothing for each file', {
  ...unlessLacking(shellServerLacks()),
  timeout: 60_000,
}, async () => {
  const server = bareServer(folder(), 'srv-1', 1)
  for (const unit of ['haproxy', 'keepalived']) server.write(`/world/packages/${unit}`, '2.6.12-1\n')
  server.write('/world/units/keepalived/loaded', CONF)
  server.write('/run/keepalived.pid', '200\n')
  server.write('/proc/200/status', '')
  server.write('/run/hactl/drain', '0\n')
  server.write('/etc/haproxy/haproxy.cfg', '# one\n')
  noteStarts(server)

  const few = await startsOf(server)
  expect(few.starts).toMatchObject({ perl: 2, 'dpkg-query': 1, base64: 0 })
  expect(few.node.instances).toHaveLength(1)
  expect(few.node.trackersHeld).toEqual({ '/run/hactl/drain': 0 })
  expect(few.node.packages).toMatchObject({ haproxy: { installed: '2.6.12-1' }, keepalived: { installed: '2.6.12-1' } })

  for (const path of PROBE_REQUEST.paths) server.write(path, `# ${path}\n`)
  const many = await startsOf(server)
  expect(many.starts).toEqual(few.starts)
  for (const path of PROBE_REQUEST.paths) expect(many.node.files[path]?.content).toBe(`# ${path}\n`)
})
