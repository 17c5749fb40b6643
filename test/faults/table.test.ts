import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sumUp, type Tried } from './row.ts'
import { renewTable } from './table.ts'

const occasion = { date: '2026-11-22', release: 'bookworm', seed: 7 }
const well: Tried = { probes: 10, lost: 0, broken: [], hung: [], counts: { 'in a switch': 1 }, longestMs: { 'ended after': 1200 } }
const order = ['one', 'two']
const rowsOf = (text: string) =>
  text
    .split('\n')
    .filter(line => line.startsWith('| '))
    .slice(2)
const empty = `# A\n<!-- faults -->\n<!-- /faults -->\nB\n`

test('a row has the sums over all tries, and the longest of each time', () => {
  const broken: Tried = { ...well, lost: 2, broken: ['a|b', 'c'], longestMs: { 'ended after': 3400 } }
  const result = sumUp({ name: 'one', title: 'one' }, [well, broken, well])
  expect(rowsOf(renewTable(empty, [result], occasion, order))).toEqual([
    '| one | 3 | 2 of 30 | 1 | 0 | ended after: 3.4 s at most; in a switch: 3 | 2026-11-22, bookworm, seed 7 |',
  ])
})

test('rows that were not run, their order and the text around the table stay unchanged', () => {
  const two = renewTable(empty, [sumUp({ name: 'two', title: 'two' }, [well])], occasion, order)
  const both = renewTable(two, [sumUp({ name: 'one', title: 'one' }, [well])], { ...occasion, seed: 8 }, order)
  expect(rowsOf(both).map(line => line.slice(0, 8))).toEqual(['| one | ', '| two | '])
  expect(both).toContain('seed 7')
  expect(both.startsWith('# A\n')).toBe(true)
  expect(both.endsWith('\nB\n')).toBe(true)
})

test('the document has a place for the table', () => {
  const document = readFileSync(join(import.meta.dirname, '../../docs/reliability.md'), 'utf8')
  expect(renewTable(document, [], occasion, [])).toContain('| fault | tried |')
})
