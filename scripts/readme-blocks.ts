/** The tables of the documentation, made from the source. */
import { readdirSync, readFileSync } from 'node:fs'
import { type ShippedDrill, shippedDrills } from '../src/app/drills.ts'
import { DISTURBANCES, disturbanceFor } from '../src/domain/failover/disturbances.ts'
import { expectationFor, expectationText } from '../src/domain/failover/drill.ts'
import type { OutageEvent } from '../src/domain/vrrp/outage.ts'
import { parseDrill } from '../src/engine/drill-file.ts'
import { EXIT_STATUSES } from '../src/cli/exit-statuses.ts'
import { COMMANDS, GLOBAL_FLAGS } from '../src/cli/program.ts'
import { EXIT_OF } from '../src/errors.ts'
import { inventoryFields } from '../src/inventory/json-schema.ts'

/** Between <!-- hactl:NAME --> and <!-- /hactl:NAME --> is the block of that name. */
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
  drills: () =>
    markdownTable(['drill', 'on', 'does', 'expects', 'undone by', 'destructive'], shippedDrills(readdirSync(DRILLS)).map(drillRow)),
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

const DRILLS = new URL('../playbooks/drills/', import.meta.url)
const EVENTS: readonly OutageEvent[] = ['haproxy-stop', 'haproxy-kill', 'haproxy-hang', 'keepalived-stop', 'server-dead']
const PLACES = { holder: 'the holder', next: 'the next in line', 'each-holder': 'each holder in turn' }

function drillRow({ name, file }: ShippedDrill): readonly string[] {
  const drill = parseDrill(readFileSync(new URL(file, DRILLS), 'utf8'), name, { disturbances: DISTURBANCES, events: EVENTS })
  const disturbance = disturbanceFor(drill.disturb, { interface: 'INTERFACE', vip: '192.0.2.200' })
  if (disturbance === undefined) throw new Error(`${name}: there is no disturbance ${drill.disturb}`)
  const expects = (expect: typeof drill.expect) => expectationText(expect, undefined, undefined, 'the holder').split('; ')
  const fast = expects(drill.expect)
  const classic = expects(expectationFor(drill, 'classic')).filter(part => !fast.includes(part))
  return [
    code(name),
    PLACES[drill.on],
    disturbance.title,
    `${fast.join('; ')}${classic.length === 0 ? '' : ` (classic: ${classic.join('; ')})`}`,
    disturbance.undoTitle,
    drill.destructive ? 'yes' : 'no',
  ]
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
