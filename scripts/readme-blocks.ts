/** The tables of the documentation, made from the source. */
import { EXIT_STATUSES } from '../src/cli/exit-statuses.ts'
import { COMMANDS, GLOBAL_FLAGS } from '../src/cli/program.ts'
import { EXIT_OF } from '../src/errors.ts'
import { inventoryFields } from '../src/inventory/json-schema.ts'

/** Between <!-- hactl:NAME --> and <!-- /hactl:NAME --> stands the block of that name. */
export const BLOCKS: Readonly<Record<string, () => string>> = {
  'exit-codes': () =>
    markdownTable(
      ['exit', 'what the operator may conclude', 'codes'],
      EXIT_STATUSES.map(({ exit, meaning }) => [String(exit), meaning, codesOf(exit)]),
    ),
  commands: () =>
    markdownTable(
      ['command', 'does'],
      COMMANDS.map(({ name, argument, summary }) => [code(`hactl ${[name, argumentOf(argument)].join(' ').trim()}`), summary]),
    ),
  flags: () =>
    markdownTable(
      ['flag', 'of', 'means'],
      [
        ...GLOBAL_FLAGS.map(flag => [code(flag.flags), 'every command', meaningOf(flag)]),
        ...COMMANDS.flatMap(spec => spec.flags.map(flag => [code(flag.flags), spec.name, meaningOf(flag)])),
      ],
    ),
  inventory: () =>
    markdownTable(
      ['key', 'is', 'means', 'default'],
      inventoryFields().map(field => [
        code(field.path),
        `${field.type}${field.required ? ', required' : ''}`,
        field.description,
        field.default === undefined ? '' : String(field.default),
      ]),
    ),
}

function argumentOf(argument: (typeof COMMANDS)[number]['argument']): string {
  if (argument === undefined) return ''
  return argument.required ? argument.name : `[${argument.name}]`
}

function meaningOf({ about, fallback }: (typeof GLOBAL_FLAGS)[number]): string {
  return fallback === undefined ? about : `${about} (default: ${fallback})`
}

function codesOf(exit: number): string {
  const codes = Object.entries(EXIT_OF).filter(([, status]) => status === exit)
  return codes.map(([name]) => code(name)).join(' ')
}

const code = (text: string) => `\`${text}\``

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

/** The text with every block renewed. Throws for a block that nobody makes or that does not end. */
export function renewBlocks(text: string, file: string): string {
  return text.replaceAll(/<!-- hactl:([a-z-]+) -->([\s\S]*?)(?:<!-- \/hactl:\1 -->|$(?![\s\S]))/g, (whole, name: string) => {
    const make = BLOCKS[name]
    const end = `<!-- /hactl:${name} -->`
    if (make === undefined) throw new Error(`${file}: there is no block ${name}; there are ${Object.keys(BLOCKS).join(', ')}`)
    if (!whole.endsWith(end)) throw new Error(`${file}: the block ${name} does not end with ${end}`)
    return `<!-- hactl:${name} -->\n${make()}\n${end}`
  })
}
