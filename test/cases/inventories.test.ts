import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { knownKeys } from '../../src/inventory/json-schema.ts'
import { parseInventory } from '../../src/inventory/parse.ts'
import { renderInventory } from '../../src/inventory/render.ts'
import { parseYaml } from '../../src/yaml.ts'

const folder = join(import.meta.dirname, '../../fixtures/inventories')
const filesIn = (path: string) => readdirSync(path).filter(name => name.endsWith('.yml'))
const read = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8')

describe('every inventory in fixtures/inventories', () => {
  test.for(filesIn(folder))('%s is accepted without a warning', name => {
    const { issues, warnings } = parseInventory(read(name), name)
    expect({ issues, warnings }).toEqual({ issues: [], warnings: [] })
  })

  test.for(filesIn(folder))('%s is the same after hactl has written it', name => {
    const { inventory } = parseInventory(read(name), name)
    if (inventory === undefined) throw new Error(`${name} is refused`)
    expect(parseInventory(renderInventory(inventory), name)).toMatchObject({ inventory, issues: [], warnings: [] })
  })

  test('every-field.yml has every key of the schema', () => {
    const used = new Map<string, Set<string>>()
    const walk = (value: unknown, path: readonly (string | number)[]) => {
      if (typeof value !== 'object' || value === null) return
      const known = knownKeys(path)
      const place = path.map(step => (typeof step === 'number' ? '[]' : step)).join('.')
      for (const [key, below] of Object.entries(value)) {
        const step = Array.isArray(value) ? Number(key) : key
        if (known.length > 0) used.set(place, (used.get(place) ?? new Set()).add(key))
        walk(below, [...path, step])
      }
    }
    const { value } = parseYaml(read('every-field.yml'))
    walk(value, [])
    const pathOf = (place: string) => (place === '' ? [] : place.split('.').map(step => (step === '[]' ? 0 : step)))
    const unused = [...used].flatMap(([place, keys]) =>
      knownKeys(pathOf(place))
        .filter(key => !keys.has(key))
        .map(key => `${place}.${key}`),
    )
    // config excludes frontends and backends, and a secret has one of its four sources.
    const secret = /(auth_pass|become_password)\.(env|file|command|literal)$/
    expect(unused.filter(path => !secret.test(path))).toEqual(['haproxy.config'])
  })
})

describe('every inventory in fixtures/inventories/rejected', () => {
  test.for(filesIn(join(folder, 'rejected')))('%s is refused for that reason alone', name => {
    const text = read('rejected', name)
    const expected = /^# expect: (\S+) (.+)\n/.exec(text)
    if (expected === null) throw new Error('the first line must be "# expect: <path> <text>", with - for the file as a whole')
    const [, path = '', words] = expected
    const { inventory, issues } = parseInventory(text, name)
    expect(inventory).toBeUndefined()
    expect(issues).toEqual([expect.objectContaining({ path: path === '-' ? '' : path, message: expect.stringContaining(words ?? '') })])
  })
})
