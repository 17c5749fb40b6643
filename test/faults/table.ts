/** The table of docs/reliability.md: made from what a run saw, never by hand. */
import type { RowResult } from './row.ts'

const BEGIN = '<!-- faults -->'
const END = '<!-- /faults -->'
const HEAD = ['fault', 'tried', 'requests lost', 'broken', 'hung', 'seen besides', 'measured']

export interface Occasion {
  /** 2026-11-22 */
  readonly date: string
  /** Debian's code name. */
  readonly release: string
  readonly seed: number
}

/**
 * The document with the rows of this run renewed and all others as they were. `order`: titles in the order of the table.
 * Throws where the document has no place for the table.
 */
export function renewTable(document: string, results: readonly RowResult[], occasion: Occasion, order: readonly string[]): string {
  const [before, rest] = document.split(BEGIN)
  const [old, after] = rest?.split(END) ?? []
  if (before === undefined || old === undefined || after === undefined) throw new Error(`there is no ${BEGIN} ... ${END}`)
  const rows = new Map<string, readonly string[]>()
  for (const line of old.split('\n').slice(3)) {
    const cells = line.split(/(?<!\\)\|/).map(cell => cell.trim())
    if (cells.length === HEAD.length + 2) rows.set(cells[1] ?? '', cells.slice(1, -1))
  }
  for (const result of results) rows.set(result.title, cellsOf(result, occasion))
  const sorted = order.flatMap(title => {
    const row = rows.get(title)
    return row === undefined ? [] : [row]
  })
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return `${before}${BEGIN}\n${[line(HEAD), line(HEAD.map(() => '---')), ...sorted.map(line)].join('\n')}\n${END}${after}`
}

function cellsOf(result: RowResult, { date, release, seed }: Occasion): readonly string[] {
  const { title, tried, probes, lost, broken, hung, also } = result
  const requests = probes === 0 ? '-' : `${lost} of ${probes}`
  return [title, String(tried), requests, String(broken.length), String(hung.length), also || '-', `${date}, ${release}, seed ${seed}`].map(
    cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' '),
  )
}
