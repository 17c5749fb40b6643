/** The documentation says what the source says. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BLOCKS, renewBlocks } from '../../scripts/readme-blocks.ts'
import { EXIT_STATUSES } from '../../src/cli/exit-statuses.ts'
import { EXIT_OF } from '../../src/errors.ts'

const ROOT = resolve(import.meta.dirname, '../..')

const documents = ['README.md', ...readdirSync(join(ROOT, 'docs')).map(name => join('docs', name))].filter(
  name => name.endsWith('.md') && existsSync(join(ROOT, name)),
)

test('every table made from the source is fresh; npm run docs renews them', () => {
  const stale = documents.filter(name => {
    const text = readFileSync(join(ROOT, name), 'utf8')
    return renewBlocks(text, name) !== text
  })
  expect(stale).toEqual([])
})

test('every exit status that an error can have is explained, and each only once', () => {
  const explained = EXIT_STATUSES.map(({ exit }) => exit)
  expect(new Set(explained).size).toBe(explained.length)
  expect(explained).toEqual(expect.arrayContaining([...new Set(Object.values(EXIT_OF))]))
})

describe('renewBlocks', () => {
  test('replaces only what is between the marks', () => {
    const text = 'a\n<!-- hactl:commands -->\nold\n<!-- /hactl:commands -->\nb\n'
    const renewed = renewBlocks(text, 'x.md')
    expect(renewed).toMatch(/^a\n<!-- hactl:commands -->\n\| command \| does \|\n/)
    expect(renewed).toMatch(/<!-- \/hactl:commands -->\nb\n$/)
    expect(renewBlocks(renewed, 'x.md')).toBe(renewed)
  })

  test('refuses a block that no script makes, and one that does not end', () => {
    expect(() => renewBlocks('<!-- hactl:nothing --><!-- /hactl:nothing -->', 'x.md')).toThrow('there is no block nothing')
    expect(() => renewBlocks('<!-- hactl:flags -->\nabc', 'x.md')).toThrow('does not end')
  })

  test.for(Object.keys(BLOCKS))('the block %s is a table with the same number of cells in every row', name => {
    const rows = (BLOCKS[name]?.() ?? '').split('\n').map(row => row.replaceAll('\\|', '').split('|').length)
    expect(rows.length).toBeGreaterThan(3)
    expect(new Set(rows).size).toBe(1)
  })
})
