import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { observeNode } from '../../src/engine/observe.ts'
import { probeRequestFor } from '../../src/engine/operations/look.ts'
import { classicWith, clusterWith } from '../domain/example.ts'
import { bareServer, shellServerLacks } from '../support/shell-server.ts'

const lacks = shellServerLacks()
if (lacks !== undefined) process.stderr.write(`the folders above hactl's programs are not read in a real shell: ${lacks}\n`)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-folders-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test.skipIf(lacks !== undefined)('every folder above a program of this cluster is looked at, up to /', async () => {
  const server = bareServer(folder, 'srv-1', 1)
  mkdirSync(join(server.root, 'usr/local/lib/hactl'), { recursive: true })
  chmodSync(join(server.root, 'usr/local/lib'), 0o777)
  const look = async (cluster: ReturnType<typeof clusterWith>) =>
    (await observeNode(server.session, probeRequestFor(cluster), new AbortController().signal)).programFolders
  const fast = await look(clusterWith())
  expect(fast.map(({ path }) => path)).toEqual(['/', '/usr', '/usr/local', '/usr/local/bin', '/usr/local/lib', '/usr/local/lib/hactl'])
  expect(fast.find(({ path }) => path === '/usr/local/lib')?.mode).toBe('777')
  // The article's profile puts nothing there.
  expect((await look(classicWith())).map(({ path }) => path)).toEqual(['/', '/usr', '/usr/local', '/usr/local/bin'])
})
