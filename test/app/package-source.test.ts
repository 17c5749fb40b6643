import { describe, expect, test } from 'vitest'
import { packageSourceOf, readCarried } from '../../src/app/package-source.ts'
import { check } from '../../src/app/check.ts'
import { loadCluster } from '../../src/app/load.ts'
import { plan } from '../../src/app/plan.ts'
import { HactlError } from '../../src/errors.ts'
import { inventoryWith } from '../domain/example.ts'
import { INVENTORY_PATH, memoryPorts, PACKAGE_ROOT } from '../support/memory-ports.ts'

const WHOLE = ['haproxy_2.6.12-1_amd64.deb', 'keepalived_1%3a2.2.7-1_amd64.deb']

/** An operator whose folder has these files; undefined: there is no folder. No server is contacted. */
function operator(names: readonly string[] | undefined, packages: Readonly<Record<string, string | readonly string[]>> = { from: 'debs' }) {
  const inventory = JSON.stringify(inventoryWith({}, { packages }))
  const ports = memoryPorts(new Map([['inventory.yml', inventory], ...(names ?? []).map(name => [`debs/${name}`, name] as const)]))
  const files = { ...ports.files, list: async (path: string) => (path === '/inventory/debs' ? names : undefined) }
  return { ...ports, files }
}

async function read(...given: Parameters<typeof operator>) {
  const ports = operator(...given)
  return readCarried(await loadCluster(INVENTORY_PATH, ports), ports)
}

test('the packages of the folder are read with their checksums, and other files are left out', async () => {
  const packages = await read([...WHOLE, 'README'])
  expect(packages?.map(({ fileName, content }) => [fileName, content.toString()])).toEqual(WHOLE.map(name => [name, name]))
  expect(packages?.[0]?.sha256).toMatch(/^[0-9a-f]{64}$/)
})

test('without packages.from no packages are carried', async () => {
  expect(await read(undefined, { haproxy: '2.6.*' })).toBeUndefined()
})

const UNFIT = [
  ['there is no such folder', undefined, {}, 'there is no folder /inventory/debs that you may read'],
  ['a package is missing', ['haproxy_2.6.12-1_amd64.deb'], {}, '/inventory/debs has no keepalived_*.deb'],
  ['a file has another name than apt gives', [...WHOLE, 'my haproxy.deb'], {}, 'my haproxy.deb: not the name of a package file'],
  [
    'no package is of the version that is pinned',
    WHOLE,
    { keepalived: '1:2.3.*' },
    '/inventory/debs has keepalived 1:2.2.7-1, and packages.keepalived wants 1:2.3.*',
  ],
] as const

test.for(UNFIT)('check names it without a network: %s', async ([, names, pins, message]) => {
  const report = await check({ inventoryPath: INVENTORY_PATH, limit: [] }, operator(names, { from: 'debs', ...pins }))
  expect(report.errors).toEqual([{ path: 'packages.from', message, fix: expect.stringMatching(/\S/) }])
})

test.for(UNFIT)('plan and deploy are refused before any server is contacted: %s', async ([, names, pins, message]) => {
  const packages = { from: 'debs', ...pins }
  const refused = { code: 'E_INVENTORY_INVALID', why: [expect.stringContaining(message)] }
  await expect(read(names, packages)).rejects.toMatchObject(refused)
  const input = { inventoryPath: INVENTORY_PATH, limit: [], forks: 3, timeoutMs: 1000 }
  await expect(plan(input, operator(names, packages), () => {}, PACKAGE_ROOT)).rejects.toMatchObject(refused)
})

test('a complete folder is accepted, and commands that only read servers do not need the folder', async () => {
  expect((await check({ inventoryPath: INVENTORY_PATH, limit: [] }, operator(WHOLE, { from: 'debs', haproxy: '2.6.*' }))).errors).toEqual(
    [],
  )
  await expect(loadCluster(INVENTORY_PATH, operator(undefined))).resolves.not.toBeInstanceOf(HactlError)
})

describe('packages that the controller fetches', () => {
  test('need no folder, and check accepts them', async () => {
    const controller = operator(undefined, { from: 'controller' })
    expect((await check({ inventoryPath: INVENTORY_PATH, limit: [] }, controller)).errors).toEqual([])
    expect(await packageSourceOf(await loadCluster(INVENTORY_PATH, controller), controller, () => {})).toMatchObject({ kind: 'controller' })
  })

  test('come from a folder of that name where a path says so', async () => {
    const ports = { ...operator(undefined, { from: './controller' }) }
    await expect(packageSourceOf(await loadCluster(INVENTORY_PATH, ports), ports, () => {})).rejects.toMatchObject({
      code: 'E_INVENTORY_INVALID',
      why: [expect.stringContaining('/inventory/controller')],
    })
  })

  const refusal = (packages: Readonly<Record<string, string | readonly string[]>>) =>
    check({ inventoryPath: INVENTORY_PATH, limit: [] }, operator(WHOLE, packages)).then(
      () => undefined,
      (error: unknown) => error,
    )

  test('mirrors without packages.from: controller are refused, because nothing would use them', async () => {
    expect(await refusal({ from: 'debs', mirrors: ['mirror.example.com'] })).toMatchObject({
      code: 'E_INVENTORY_INVALID',
      why: [expect.stringMatching(/packages\.mirrors.*servers fetch for themselves.*add from: controller/s)],
    })
  })

  test.for(['http://mirror.example.com', 'mirror.example.com/debian', 'mirror.example.com:0', '*.example.com', ''])(
    'a mirror is a host, and a port where it is not the usual one: %s',
    async mirror => {
      expect(await refusal({ from: 'controller', mirrors: [mirror] })).toMatchObject({
        code: 'E_INVENTORY_INVALID',
        why: [expect.stringMatching(/packages\.mirrors\[0\].*must be the host of a repository/s)],
      })
    },
  )
})
