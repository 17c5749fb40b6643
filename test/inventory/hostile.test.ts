import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseInventory } from '../../src/inventory/parse.ts'
import { parseYaml } from '../../src/yaml.ts'
import { randomInventory, type Random, seededRandom } from './random.ts'

const FRAGMENTS = [
  '\n',
  '\r',
  '\0',
  '\t',
  '\u001b[2J',
  '\u0085',
  '\u2028',
  '"',
  "'",
  '`',
  '$(id)',
  '$HOME',
  ';reboot',
  '|sh',
  '&',
  '>x',
  '<x',
  '\\',
  '#',
  '{',
  '}',
] as const
/** The operator's own shell and haproxy read these: quotes and $ are part of their syntax, a line end never is. */
const FREE_TEXT = /(^|\.)(command|literal|global|defaults|option|lines)(\.\d+)?$/

/** Long enough for a busy machine. */
const PATIENCE_MS = 60_000

type Path = readonly string[]

function leavesOf(value: unknown, path: Path = []): readonly { readonly path: Path; readonly value: unknown }[] {
  if (typeof value !== 'object' || value === null) return [{ path, value }]
  return Object.entries(value).flatMap(([key, below]) => leavesOf(below, [...path, key]))
}

function withValue(root: unknown, path: Path, value: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return value
  if (Array.isArray(root)) return root.map((item: unknown, at) => (String(at) === step ? withValue(item, rest, value) : item))
  return { ...(root as object), [step]: withValue((root as Record<string, unknown>)[step], rest, value) }
}

const refusedText = (path: Path) =>
  FREE_TEXT.test(path.join('.'))
    ? // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/
    : // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029"'`\\;|&<>#]|\$\(|^-/

/** JSON is YAML, and can express every character. */
const parseValue = (value: unknown) => parseInventory(JSON.stringify(value), 'inventory.yml')

const article = readFileSync(join(import.meta.dirname, '../../fixtures/inventories/article.yml'), 'utf8')
const everyField = parseYaml(readFileSync(join(import.meta.dirname, '../../fixtures/inventories/every-field.yml'), 'utf8')).value

describe('hostile text', () => {
  const texts = leavesOf(everyField).flatMap(({ path, value }) =>
    typeof value === 'string' ? [{ path, value, name: path.join('.') }] : [],
  )

  test.for(texts)('in $name is refused', ({ path, value, name }) => {
    const harmful = FREE_TEXT.test(name) ? FRAGMENTS.filter(fragment => refusedText(path).test(fragment)) : FRAGMENTS
    const accepted = harmful
      .flatMap((fragment, at) => [`${value}${fragment}`, ...(at % 4 === 0 ? [`${fragment}${value}`] : [])])
      .filter(hostile => parseValue(withValue(everyField, path, hostile)).issues.length === 0)
    expect(accepted).toEqual([])
  })

  test.for(texts.filter(({ name }) => !FREE_TEXT.test(name)))('with a leading dash in $name is refused', ({ path, value }) => {
    expect(parseValue(withValue(everyField, path, `-${value}`)).issues).not.toEqual([])
  })

  test(
    'anywhere in 500 random inventories is either refused or holds nothing that could end a word',
    () => {
      const harmful: unknown[] = []
      let accepted = 0
      for (let seed = 0; seed < 500; seed++) {
        const random = seededRandom(seed)
        const { inventory, issues } = parseValue(spoilt(randomInventory(random), random, 1 + random.int(2)))
        if ((inventory === undefined) !== issues.length > 0) harmful.push({ seed, issues })
        if (inventory === undefined) continue
        accepted++
        for (const { path, value } of leavesOf(inventory)) {
          if (typeof value === 'string' && refusedText(path).test(value)) harmful.push({ seed, path, value })
          if (path.some(key => refusedText([]).test(key))) harmful.push({ seed, path })
        }
      }
      expect(harmful).toEqual([])
      // Were everything refused, or everything accepted, the loop would prove nothing.
      expect(accepted).toBeGreaterThan(20)
      expect(accepted).toBeLessThan(480)
    },
    PATIENCE_MS,
  )
})

/** Puts something hostile at a few places: into a text, into a key, or another type altogether. */
function spoilt(inventory: unknown, random: Random, times: number): unknown {
  let value = inventory
  for (let i = 0; i < times; i++) {
    const leaves = leavesOf(value)
    const leaf = leaves[random.int(leaves.length)]
    if (leaf === undefined) continue
    const fragment = random.pick([...FRAGMENTS, ' ', 'x', '-', '0', '.', '-x'])
    const text = String(leaf.value)
    const at = random.int(text.length + 1)
    const path = random.chance(10) ? [...leaf.path.slice(0, -1), `${leaf.path.at(-1)}${fragment}`] : leaf.path
    const kind = random.pick(['text', 'text', 'text', 'null', 'list', 'mapping', 'number', 'flag'])
    const other = {
      text: `${text.slice(0, at)}${fragment}${text.slice(at)}`,
      null: null,
      list: [leaf.value],
      mapping: { a: leaf.value },
      number: -1,
      flag: true,
    }
    value = withValue(value, path, other[kind as keyof typeof other])
  }
  return value
}

describe('a damaged file', () => {
  test(
    'never stops the reading, and every issue has a place in the file, 500 files',
    () => {
      const wrong: unknown[] = []
      for (let seed = 0; seed < 500; seed++) {
        const random = seededRandom(seed)
        let text = article
        for (let i = 0; i <= random.int(4); i++) {
          const at = random.int(text.length)
          const put = random.pick([
            ...FRAGMENTS,
            '',
            '',
            ':',
            '-',
            '- ',
            '[',
            ']',
            ',',
            '*',
            '!',
            '%',
            '@',
            '<<: ',
            '  ',
            '---\n',
            'a: &a [*a]\n',
          ])
          text = `${text.slice(0, at)}${put}${text.slice(at + random.int(4))}`
        }
        const { inventory, issues } = parseInventory(text, 'inventory.yml')
        if ((inventory === undefined) !== issues.length > 0) wrong.push({ seed, issues })
        const lines = text.split(/\r\n|\r|\n/)
        for (const issue of issues) {
          const line = lines[(issue.line ?? 1) - 1]
          if (line === undefined || (issue.column ?? 1) > line.length + 1) wrong.push({ seed, issue })
        }
      }
      expect(wrong).toEqual([])
    },
    PATIENCE_MS,
  )

  test.for([
    'null',
    '[]',
    '""',
    '0',
    'true',
    '{}',
    '[[]]',
    '{"servers": null}',
    '{"servers": [null], "vrrp_instances": [[]], "haproxy": []}',
    '{"servers": {"0": {}}}',
  ])('of the wrong kind altogether is refused: %s', text => {
    const { inventory, issues } = parseInventory(text, 'inventory.yml')
    expect(inventory).toBeUndefined()
    expect(issues.length).toBeGreaterThan(0)
  })
})
