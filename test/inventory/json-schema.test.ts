import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { inventoryFields, inventoryJsonSchema, knownKeys } from '../../src/inventory/json-schema.ts'

describe('inventoryJsonSchema', () => {
  test('is what inventory.schema.json holds (renew it with: npm run docs)', async () => {
    const text = `${JSON.stringify(inventoryJsonSchema(), null, 2)}\n`
    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, '../../inventory.schema.json'))
  })

  test('says what applies where a key is absent', () => {
    expect(inventoryJsonSchema().properties?.['profile']?.description).toMatch(/ Default: fast\.$/)
  })
})

describe('inventoryFields', () => {
  test('describes every field in a sentence', () => {
    const poor = inventoryFields().filter(({ description }) => !/^\S.{8,}[.:"]$|\.$/.test(description))
    expect(poor).toEqual([])
  })

  test('says for every optional field of a plain section what applies where it is absent', () => {
    // A section, a list of lines or a whole alternative has no default of its own.
    const silent = inventoryFields().filter(
      field => !field.required && field.default === undefined && /number|true|text$|secret/.test(field.type),
    )
    expect(silent.map(({ path }) => path)).toEqual([
      'servers[].become',
      'haproxy.config',
      'haproxy.global',
      'haproxy.defaults',
      'haproxy.frontends[].default_backend',
      'haproxy.frontends[].option',
      'haproxy.frontends[].lines',
      'haproxy.backends[].option',
      'haproxy.backends[].servers[].options',
      'haproxy.backends[].lines',
    ])
  })

  test('names types in words', () => {
    const typeOf = (path: string) => inventoryFields().find(field => field.path === path)?.type
    expect(typeOf('become_password')).toBe('secret')
    expect(typeOf('servers')).toBe('list')
    expect(typeOf('vrrp_instances[].interface')).toBe('text or text by server')
    expect(typeOf('vrrp_instances[].priority')).toBe('whole number 1..254 by server')
    expect(typeOf('vrrp_instances[].version')).toBe('2 or 3')
    expect(typeOf('servers[].ssh.host_key_checking')).toBe('strict or accept-new')
  })
})

describe('knownKeys', () => {
  test('follows lists, maps and alternatives', () => {
    expect(knownKeys(['servers', 3])).toEqual(['name', 'host', 'ssh', 'become', 'become_password'])
    expect(knownKeys(['vrrp_instances', 0, 'authentication', 'auth_pass'])).toEqual(['env', 'file', 'command', 'literal'])
    expect(knownKeys(['vrrp_instances', 0, 'priority', 'srv-1'])).toEqual([])
    expect(knownKeys(['nowhere'])).toEqual([])
  })
})
