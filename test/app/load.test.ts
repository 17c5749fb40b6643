import { describe, expect, test } from 'vitest'
import { check, checkConf } from '../../src/app/check.ts'
import { type ConnectOptions, targetsOf } from '../../src/app/connect.ts'
import { loadCluster, readInventory } from '../../src/app/load.ts'
import { HactlError, UnusableFile } from '../../src/errors.ts'
import type { Ports } from '../../src/ports.ts'
import { INVENTORY_PATH, memoryPorts } from '../support/memory-ports.ts'

const inventory = (authPass: object | string, more: object = {}) => ({
  servers: [
    { name: 'srv-1', host: '192.0.2.11' },
    { name: 'srv-2', host: '192.0.2.12' },
  ],
  vrrp_instances: [
    {
      name: 'VRRP1',
      version: 2,
      advert_int: 1,
      virtual_router_id: 66,
      virtual_ipaddress: ['192.0.2.200/24'],
      authentication: { auth_type: 'PASS', auth_pass: authPass },
    },
  ],
  haproxy: { config: 'haproxy.cfg' },
  ...more,
})

function portsWith(
  files: Readonly<Record<string, string>>,
  over: Partial<Ports> = {},
  modes: Readonly<Record<string, number>> = {},
): Ports {
  const ports = memoryPorts(new Map(Object.entries(files)), over)
  return { ...ports, files: { ...ports.files, mode: async path => modes[path] } }
}

const CONFIG = { 'haproxy.cfg': 'frontend web\n    bind :80\n' }
const OPTIONS = { limit: [], forks: 8, timeoutMs: 7000 }

describe('an inventory with several kinds of mistakes', () => {
  test('gives all of them at once, a missing haproxy.cfg too', async () => {
    const text = JSON.stringify(inventory('secret', { servers: [{ name: 'srv-1', host: 'bad host' }] }))
    const { issues } = await readInventory(INVENTORY_PATH, portsWith({ 'inventory.yml': text }))
    expect(issues.map(issue => issue.path)).toEqual(['servers', 'servers[0].host', 'haproxy.config'])
  })

  test('gives no mistake about a file whose path is itself refused', async () => {
    const text = JSON.stringify(inventory('secret', { haproxy: { config: '-f' } }))
    const { issues } = await readInventory(INVENTORY_PATH, portsWith({ 'inventory.yml': text }))
    expect(issues.map(issue => issue.path)).toEqual(['haproxy.config'])
  })
})

describe('a file that exists and cannot be read', () => {
  /** Ports for which each of these paths is unusable. */
  const without = (files: Readonly<Record<string, string>>, ...unusable: string[]) => {
    const ports = portsWith(files)
    const read: Ports['files']['read'] = async (path, options) => {
      if (unusable.includes(path)) throw new UnusableFile(path, 'it is a folder')
      return ports.files.read(path, options)
    }
    return { ...ports, files: { ...ports.files, read } }
  }

  test('is reported where it is the inventory, or a keepalived.conf to check', async () => {
    const ports = without({}, INVENTORY_PATH)
    const what = `${INVENTORY_PATH} cannot be read as an inventory: it is a folder`
    await expect(readInventory(INVENTORY_PATH, ports)).rejects.toMatchObject({ code: 'E_INVENTORY_MISSING', message: what })
    const conf = { code: 'E_INVENTORY_MISSING', message: `${INVENTORY_PATH} cannot be read: it is a folder` }
    await expect(checkConf(INVENTORY_PATH, ports)).rejects.toMatchObject(conf)
  })

  test('is an issue of the inventory that names it', async () => {
    const certificates = [{ file: 'site.pem', path: '/etc/haproxy/site.pem' }]
    const text = JSON.stringify(inventory({ file: 'vrrp' }, { certificates }))
    const ports = without({ 'inventory.yml': text, ...CONFIG }, '/inventory/haproxy.cfg', '/inventory/site.pem')
    expect((await readInventory(INVENTORY_PATH, ports)).issues).toEqual([
      { path: 'haproxy.config', message: '/inventory/haproxy.cfg cannot be read: it is a folder', fix: 'name a file that you may read' },
      { path: 'certificates[0].file', message: '/inventory/site.pem cannot be read: it is a folder', fix: 'name a file that you may read' },
    ])
  })

  test('is reported for a secret', async () => {
    const ports = without({ 'inventory.yml': JSON.stringify(inventory({ file: 'vrrp' })), ...CONFIG }, '/inventory/vrrp')
    await expect(loadCluster(INVENTORY_PATH, ports)).rejects.toMatchObject({
      code: 'E_SECRET',
      message: 'vrrp_instances VRRP1: auth_pass: the file /inventory/vrrp cannot be read: it is a folder',
    })
  })

  test('does not hide an interrupt', async () => {
    const read = () => Promise.reject(new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted' }))
    const ports = portsWith({})
    await expect(readInventory(INVENTORY_PATH, { ...ports, files: { ...ports.files, read } })).rejects.toMatchObject({
      code: 'E_INTERRUPTED',
    })
  })
})

describe('a haproxy.cfg of the operator', () => {
  const judged = async (config: string) => {
    const ports = portsWith({ 'inventory.yml': JSON.stringify(inventory({ env: 'P' })), 'haproxy.cfg': config })
    const { issues, warnings } = await readInventory(INVENTORY_PATH, ports)
    return {
      issues: issues.map(({ message }) => message),
      warnings: warnings.flatMap(({ path, message }) => (path === 'haproxy.config' ? [message] : [])),
    }
  }

  test.for([
    ['', 'haproxy.cfg is empty'],
    ['\n \n', 'haproxy.cfg is empty'],
    ['garbage here\n', 'haproxy.cfg has no section of a haproxy.cfg: no global, defaults, frontend or listen'],
  ] as const)('%j is refused for what it is', async ([config, message]) => {
    expect(await judged(config)).toEqual({ issues: [message], warnings: [] })
  })

  test('without a line feed at its end gives a warning: haproxy takes it for a truncated file', async () => {
    expect(await judged(CONFIG['haproxy.cfg'])).toEqual({ issues: [], warnings: [] })
    expect(await judged(CONFIG['haproxy.cfg'].trimEnd())).toEqual({
      issues: [],
      warnings: ['the last line of haproxy.cfg has no line feed: haproxy treats the file as truncated and refuses it'],
    })
  })
})

describe('the servers of a command', () => {
  const targets = async (over: Partial<ConnectOptions>) => {
    const files = { 'inventory.yml': JSON.stringify(inventory({ env: 'P' })), ...CONFIG }
    const ports = portsWith(files, { env: { P: 'secret' } })
    return targetsOf(await loadCluster(INVENTORY_PATH, ports), { ...OPTIONS, ...over }, ports)
  }
  const beforeConnecting = () => {
    throw new HactlError({ code: 'E_NOT_INTERACTIVE', what: 'nobody can be asked' })
  }

  test('are checked by name before a missing terminal is reported', async () => {
    await expect(targets({ limit: ['nobody'], beforeConnecting })).rejects.toMatchObject({ code: 'E_USAGE' })
    await expect(targets({ beforeConnecting })).rejects.toMatchObject({ code: 'E_NOT_INTERACTIVE' })
  })

  test('are checked by check, too', async () => {
    const ports = portsWith({ 'inventory.yml': JSON.stringify(inventory({ env: 'P' })), ...CONFIG })
    const what = '--limit names nobody, which /inventory/inventory.yml does not have'
    await expect(check({ inventoryPath: INVENTORY_PATH, limit: ['srv-1', 'nobody'] }, ports)).rejects.toMatchObject({ message: what })
    expect((await check({ inventoryPath: INVENTORY_PATH, limit: ['srv-1'] }, ports)).servers).toEqual(['srv-1', 'srv-2'])
  })
})

describe('a warning about a secret', () => {
  test('is given for a password longer than keepalived uses, from any source', async () => {
    const text = JSON.stringify(inventory({ env: 'VRRP_PASS' }))
    const ports = portsWith({ 'inventory.yml': text, ...CONFIG }, { env: { VRRP_PASS: 'nine-char' } })
    const { secretWarnings } = await loadCluster(INVENTORY_PATH, ports)
    expect(secretWarnings).toEqual([
      'vrrp_instances VRRP1: auth_pass: keepalived takes the first 8 characters of the password and ignores the rest',
    ])
    expect(secretWarnings.join()).not.toContain('nine-char')
    expect((await loadCluster(INVENTORY_PATH, { ...ports, env: { VRRP_PASS: '8charact' } })).secretWarnings).toEqual([])
  })

  test('is given for a file that all users may read, for the sudo password too', async () => {
    const text = JSON.stringify(inventory({ file: 'vrrp' }, { become_password: { file: 'sudo' } }))
    const files = { 'inventory.yml': text, ...CONFIG, vrrp: 'short\n', sudo: 'hunter2\n' }
    const warnings = async (mode: number) => {
      const ports = portsWith(files, {}, { '/inventory/vrrp': mode, '/inventory/sudo': mode })
      const loaded = await loadCluster(INVENTORY_PATH, ports)
      const told: string[] = [...loaded.secretWarnings]
      await targetsOf(loaded, OPTIONS, ports, warning => told.push(warning))
      return told
    }
    expect(await warnings(0o644)).toEqual([
      'vrrp_instances VRRP1: auth_pass: everybody on this machine can read /inventory/vrrp; run chmod 600 /inventory/vrrp',
      'become_password: everybody on this machine can read /inventory/sudo; run chmod 600 /inventory/sudo',
    ])
    expect(await warnings(0o640)).toEqual([])
  })
})
