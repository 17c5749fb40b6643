import { describe, expect, test } from 'vitest'
import { parseInventory } from '../../src/inventory/parse.ts'
import { renderInventory } from '../../src/inventory/render.ts'
import { randomInventory, seededRandom } from './random.ts'

describe('renderInventory', () => {
  test('writes files that parse to the same inventory, for 300 random inventories', () => {
    for (let seed = 0; seed < 300; seed++) {
      const inventory = randomInventory(seededRandom(seed))
      const text = renderInventory(inventory)
      const { inventory: read, issues } = parseInventory(text, 'inventory.yml')
      expect({ seed, issues }).toEqual({ seed, issues: [] })
      expect({ seed, read }).toEqual({ seed, read: inventory })
    }
  }, 60_000)

  test('has above each section a comment about its purpose', () => {
    const inventory = randomInventory(seededRandom(1))
    const lines = renderInventory(inventory).split('\n')
    for (const key of Object.keys(inventory)) {
      const at = lines.findIndex(line => line.startsWith(`${key}:`))
      expect({ key, above: lines[at - 1] }).toEqual({ key, above: expect.stringMatching(/^# \S/) })
    }
  })

  test('keeps a server and a secret source on one line each, and notes at the head', () => {
    const text = renderInventory(
      {
        servers: [
          { name: 'srv-1', host: '192.0.2.11' },
          { name: 'srv-2', host: '192.0.2.12' },
        ],
        become_password: { command: 'pass show x' },
        vrrp_instances: [{ virtual_ipaddress: ['192.0.2.200/24'], virtual_router_id: 66, name: 'VRRP1' }],
        haproxy: { config: 'haproxy.cfg' },
      },
      ['two\nlines'],
    )
    expect(text).toBe(`# Inventory for hactl. Check it with: hactl check
# two
# lines

# Where the password for sudo comes from; without this key, -K asks for it.
become_password: { command: pass show x }

# The load balancers. Their order is their rank: the first is master unless priorities say otherwise.
servers:
  - { name: srv-1, host: 192.0.2.11 }
  - { name: srv-2, host: 192.0.2.12 }

# Addresses that move between the servers. virtual_router_id must be unique on their network.
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 66, virtual_ipaddress: [ 192.0.2.200/24 ] }

# What HAProxy does: \`config: FILE\` is your own haproxy.cfg, shipped as it is; else frontends and backends.
haproxy:
  config: haproxy.cfg
`)
  })

  test('writes every note as a comment only', () => {
    const inventory = randomInventory(seededRandom(2))
    const text = renderInventory(inventory, ['a\rservers: []', 'b\u0085c: 1', 'd\u2028e: 1', '\u0000'])
    expect(parseInventory(text, 'inventory.yml').inventory).toEqual(inventory)
  })
})
