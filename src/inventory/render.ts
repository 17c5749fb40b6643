/** Inventory -> inventory.yml for people: in the order of the manual, with a comment on every section. */
import type { Inventory, InventoryInstance } from './inventory.ts'
import { inventorySections, knownKeys } from './json-schema.ts'
import { renderYamlInline } from '../yaml.ts'

/** Longest line that still reads as one. */
const LINE_WIDTH = 100

/**
 * The inventory.yml that parses to `inventory` again. `notes` become comments at its head, one line each.
 */
export function renderInventory(inventory: Inventory, notes: readonly string[] = []): string {
  const head = ['Inventory for hactl. Check it with: hactl check', ...notes].flatMap(note => note.split(/\r\n|\r|\n/))
  const values = new Map<string, unknown>(Object.entries({ ...inventory, vrrp_instances: inventory.vrrp_instances.map(inOrder) }))
  const sections = inventorySections()
    .filter(({ key }) => values.get(key) !== undefined)
    .map(({ key, comment }) => `# ${comment}\n${renderEntry(key, values.get(key), '')}`)
  return `${head.map(line => `# ${printable(line)}`.trimEnd()).join('\n')}\n\n${sections.join('\n\n')}\n`
}

function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return line.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\uFFFD\uFFFE\uFFFF]|\p{Surrogate}/gu, '?')
}

function inOrder(instance: InventoryInstance): object {
  const keys = knownKeys(['vrrp_instances', 0])
  return Object.fromEntries(Object.entries(instance).toSorted(([a], [b]) => keys.indexOf(a) - keys.indexOf(b)))
}

/** `key: value` in one line where it fits and is easy to read; else a block, whose content follows the same rule. */
function renderEntry(key: string, value: unknown, indent: string): string {
  const inline = `${indent}${renderYamlInline(key)}: ${inlineValue(value)}`
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return inline
  if (isSimple(value) && inline.length <= LINE_WIDTH && (indent !== '' || isSource(value))) return inline
  return `${indent}${renderYamlInline(key)}:\n${renderBlock(value, `${indent}  `)}`
}

function renderBlock(value: object, indent: string): string {
  if (!Array.isArray(value)) {
    return Object.entries(value)
      .filter(([, below]) => below !== undefined)
      .map(([key, below]) => renderEntry(key, below, indent))
      .join('\n')
  }
  return value
    .map((item: unknown) => {
      const inline = `${indent}- ${inlineValue(item)}`
      if (typeof item !== 'object' || item === null || Object.keys(item).length === 0) return inline
      if (isSimple(item) && inline.length <= LINE_WIDTH) return inline
      return `${indent}- ${renderBlock(item, `${indent}  `).trimStart()}`
    })
    .join('\n')
}

/** A secret's source and the like: `{ env: NAME }` is kept in one line. */
function isSource(value: object): boolean {
  return ['env', 'file', 'command', 'literal'].some(key => Object.hasOwn(value, key))
}

/** Whether it contains nothing deeper than a small mapping or list of plain values. */
function isSimple(value: object): boolean {
  const depth = (below: unknown): number =>
    typeof below !== 'object' || below === null ? 0 : 1 + Math.max(0, ...Object.values(below).map(depth))
  return depth(value) <= 2
}

function inlineValue(value: unknown): string {
  return renderYamlInline(JSON.parse(JSON.stringify(value)))
}
