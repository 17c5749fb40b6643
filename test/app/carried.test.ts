import { expect, test } from 'vitest'
import { readCarried } from '../../src/app/carried.ts'
import { memoryPorts } from '../support/memory-ports.ts'
import { clusterWith } from '../domain/example.ts'

const WHOLE = ['haproxy_2.6.12-1_amd64.deb', 'keepalived_1%3a2.2.7-1_amd64.deb']

function read(names: readonly string[] | undefined, from: string | undefined = 'debs') {
  const ports = memoryPorts(new Map(names?.map(name => [`debs/${name}`, name])))
  const files = { ...ports.files, list: async (path: string) => (path === '/inventory/debs' ? names : undefined) }
  const cluster = clusterWith({}, from === undefined ? {} : { packages: { from } })
  return readCarried({ cluster, baseDir: '/inventory' }, { ...ports, files })
}

test('the packages of the folder are read, with their checksums, and what is no package is left', async () => {
  const packages = await read([...WHOLE, 'README'])
  expect(packages?.map(({ fileName, content }) => [fileName, content.toString()])).toEqual(WHOLE.map(name => [name, name]))
  expect(packages?.[0]?.sha256).toMatch(/^[0-9a-f]{64}$/)
})

test('without packages.from there is nothing to carry', async () => {
  expect(await readCarried({ cluster: clusterWith(), baseDir: '/inventory' }, memoryPorts(new Map()))).toBeUndefined()
})

test.for([
  ['there is no such folder', undefined, /there is no folder \/inventory\/debs/],
  ['a package is missing', ['haproxy_2.6.12-1_amd64.deb'], /no keepalived_\*\.deb/],
  ['a file has another name than apt gives', [...WHOLE, 'my haproxy.deb'], /my haproxy\.deb/],
] as const)('refused before any server is contacted: %s', async ([, names, what]) => {
  await expect(read(names)).rejects.toMatchObject({ code: 'E_INVENTORY_INVALID', exit: 3, message: expect.stringMatching(what) })
})
