/** The layout of what hactl keeps on a server has one owner: src/engine/server-state. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { STATE } from '../../src/engine/server-state/layout.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Where the paths are spelled. */
const OWNERS = /^src\/(?:engine\/server-state\/|state\/places[.]ts$)/

/** The folder itself, or a path made from it or from one of its parts by hand, in TypeScript or in a shell. */
const SPELLED: readonly (readonly [RegExp, string])[] = [
  [/var\/lib\/hactl/, 'spells the folder'],
  [/\$\{?(?:STATE[.])?STATE_DIR\}?\//, 'makes a path from the folder'],
  [/\$\{?(?:STATE[.])?(?:LOCK_DIR|ORIGINAL_DIR)\}?\/(?:info|beat|units|sysctl)\b/, 'makes a path that has a name of its own'],
  [/\$\{?THIS_RUN\}?\/(?![$"\s])/, 'names what stands in the folder of a run'],
]

const findings = (path: string, text: string) =>
  text.split('\n').flatMap((line, at) => SPELLED.flatMap(([pattern, what]) => (pattern.test(line) ? [`${path}:${at + 1} ${what}`] : [])))

test('only engine/server-state spells a path of the state', () => {
  const files = globSync('src/**/*.{ts,sh,pl,py}', { cwd: ROOT }).filter(path => !OWNERS.test(path))
  expect(files.length).toBeGreaterThan(200)
  expect(files.flatMap(path => findings(path, readFileSync(join(ROOT, path), 'utf8')))).toEqual([])
})

test('the rule finds such paths', () => {
  const bad = [
    "const MARK = '/var/lib/hactl/upgrading'",
    'cat ${STATE.STATE_DIR}/owned',
    'grep -q x "$STATE_DIR/owned"',
    'cat "$LOCK_DIR/info"',
    '[ -e "$THIS_RUN/undone" ]',
  ]
  expect(bad.filter(line => findings('x', line).length !== 1)).toEqual([])
  expect(findings('x', '[ -e "$THIS_RUN/$UNDONE_IN_RUN" ]')).toEqual([])
})

test('docs/server-state.md describes every file of the layout', () => {
  const page = readFileSync(join(ROOT, 'docs/server-state.md'), 'utf8')
  const cells = page.split('\n').flatMap(line => (line.startsWith('| `') ? [line.split('|')[1] ?? ''] : []))
  const described = cells.join(' ')
  const paths = Object.values(STATE)
    .map(path => path.replace(`${STATE.STATE_DIR}/`, ''))
    .filter(path => path !== STATE.STATE_DIR)
  expect(paths.length).toBeGreaterThan(20)
  expect(paths.filter(path => !described.includes(path))).toEqual([])
})
