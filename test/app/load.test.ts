import { describe, expect, test } from 'vitest'
import { targetsOf } from '../../src/app/connect.ts'
import { loadCluster, readInventory } from '../../src/app/load.ts'
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
  test('is told all of them at once, a missing haproxy.cfg too', async () => {
    const text = JSON.stringify(inventory('secret', { servers: [{ name: 'srv-1', host: 'bad host' }] }))
    const { issues } = await readInventory(INVENTORY_PATH, portsWith({ 'inventory.yml': text }))
    expect(issues.map(issue => issue.path)).toEqual(['servers', 'servers[0].host', 'haproxy.config'])
  })

  test('is not told of a file whose path is itself refused', async () => {
    const text = JSON.stringify(inventory('secret', { haproxy: { config: '-f' } }))
    const { issues } = await readInventory(INVENTORY_PATH, portsWith({ 'inventory.yml': text }))
    expect(issues.map(issue => issue.path)).toEqual(['haproxy.config'])
  })
})

describe('what is doubtful about a secret', () => {
  test('is a password longer than keepalived takes, wherever it comes from', async () => {
    const text = JSON.stringify(inventory({ env: 'VRRP_PASS' }))
    const ports = portsWith({ 'inventory.yml': text, ...CONFIG }, { env: { VRRP_PASS: 'nine-char' } })
    const { secretWarnings } = await loadCluster(INVENTORY_PATH, ports)
    expect(secretWarnings).toEqual([
      'vrrp_instances VRRP1: auth_pass: keepalived takes the first 8 characters of the password and ignores the rest',
    ])
    expect(secretWarnings.join()).not.toContain('nine-char')
    expect((await loadCluster(INVENTORY_PATH, { ...ports, env: { VRRP_PASS: '8charact' } })).secretWarnings).toEqual([])
  })

  test('is a file that everybody may read, for the sudo password too', async () => {
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
