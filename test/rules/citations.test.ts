/** Everything that comments and pages cite must exist. A wrong citation is worse than none. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { brokenCitations, type Checkout, EVIDENCE, findingsCited, findingsOf } from './citations.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Folders that are no part of a checkout. */
const LEFT_OUT = new Set(['node_modules', '.git', 'dist', '.lab', '.kernel-lab', 'coverage'])
const CITING = /^(?:(?:src|test|scripts|docs|fixtures|playbooks|\.ci|\.github)\/.*|[^/]+\.md)$/
/** This rule's own samples of what is wrong. */
const SAMPLES = new Set(['test/rules/citations.test.ts'])

function pathsBelow(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (LEFT_OUT.has(entry.name)) return []
    return entry.isDirectory() ? [path, ...pathsBelow(path)] : [path]
  })
}

function readCheckout(): Checkout {
  const paths = pathsBelow('')
  const isText = (path: string) => /\.(?:ts|mjs|js|md|yml|sh|pl|pm|py|Dockerfile)$/.test(path) || !/\.[a-z]+$/.test(path)
  const citing = paths.filter(path => CITING.test(path) && isText(path) && !SAMPLES.has(path))
  const texts = citing.flatMap(path => {
    try {
      return [[path, readFileSync(join(ROOT, path), 'utf8')] as const]
    } catch {
      return [] // a folder
    }
  })
  return { paths: new Set(paths), texts: new Map(texts), scripts: new Set(Object.keys(packageJson.scripts)) }
}

const checkout = readCheckout()

test('reads comments and pages of every folder', () => {
  for (const folder of ['src/', 'test/', 'scripts/', 'docs/', 'fixtures/', 'playbooks/'])
    expect([...checkout.texts.keys()].filter(path => path.startsWith(folder))).not.toHaveLength(0)
  expect(checkout.texts.has('README.md')).toBe(true)
})

test('what comments and pages cite is there', () => {
  expect(brokenCitations(checkout)).toEqual([])
})

test('every finding says what was seen, on which version, how to see it again and what follows, and has a number of its own', () => {
  const findings = findingsOf(checkout)
  const ids = findings.map(({ id }) => id)
  expect(ids.length).toBeGreaterThan(20)
  expect(new Set(ids).size).toBe(ids.length)
  const parts = [/^### [A-Z]\d+\n\n\*\*.+\.\*\*\n\n- Seen: /, /^- On: /m, /^- See it again: /m, /^- So: /m]
  expect(findings.flatMap(({ id, text }) => (parts.every(part => part.test(text)) ? [] : [id]))).toEqual([])
})

test('every finding is cited outside of docs/evidence', () => {
  const cited = new Set([...checkout.texts].flatMap(([path, text]) => (path.startsWith(EVIDENCE) ? [] : findingsCited(text))))
  expect(findingsOf(checkout).flatMap(({ id }) => (cited.has(id) ? [] : [id]))).toEqual([])
})

test('every decision is in the list, under a number of its own', () => {
  const list = checkout.texts.get('docs/decisions/README.md') ?? ''
  const files = [...checkout.paths].flatMap(path => /^docs\/decisions\/(\d.*\.md)$/.exec(path)?.[1] ?? [])
  expect(files.length).toBeGreaterThan(20)
  expect(files.filter(file => !list.includes(`](${file})`))).toEqual([])
  const numbers = files.map(file => file.slice(0, 4))
  expect(new Set(numbers).size).toBe(numbers.length)
})

describe('brokenCitations', () => {
  const GOOD: Readonly<Record<string, string>> = {
    'README.md': '# One\n\n## Two words, `code`\n',
    'src/engine/plan.ts': 'export {}\n',
    'docs/decisions/0012-why.md': '# 12. Why\n',
    'docs/evidence/a.md': '### K1\n\n**A.**\n\n### K2\n\n**B.**\n',
  }
  const broken = (path: string, text: string): readonly string[] => {
    const files = { ...GOOD, [path]: text }
    const folders = Object.keys(files).flatMap(file => file.split('/').map((_, at, all) => all.slice(0, at + 1).join('/')))
    return brokenCitations({ paths: new Set(folders), texts: new Map(Object.entries(files)), scripts: new Set(['check']) })
  }

  test.for([
    ['a file that is gone', 'src/a.ts', '// As src/engine/gone.ts does.\n', 'src/a.ts names src/engine/gone.ts, which is not there'],
    ['a folder that is gone', 'docs/a.md', 'See `test/gone/`.\n', 'docs/a.md names test/gone, which is not there'],
    ['a bare file name', 'src/a.ts', '/** As gone.ts does. */\n', 'src/a.ts names gone.ts, which is not there'],
    ['a page that never existed', 'src/a.ts', '/**\n * (operations.md F1).\n */\n', 'src/a.ts names operations.md, which is not there'],
    ['a pattern that fits nothing', 'docs/a.md', '`src/engine/*.pl`\n', 'docs/a.md names src/engine/*.pl, which is not there'],
    ['a comment behind code', 'src/a.ts', 'f() // gone.ts\n', 'src/a.ts names gone.ts, which is not there'],
    ['a comment of a shell script', 'test/x', '# docs/gone.md says why\n', 'test/x names docs/gone.md, which is not there'],
    ['a comment of a fixture', 'fixtures/a.yml', '# docs/gone.md says why\n', 'fixtures/a.yml names docs/gone.md, which is not there'],
    ['a link', 'docs/a.md', '[x](gone.md)\n', 'docs/a.md links to gone.md, which is not there'],
    ['an anchor', 'docs/a.md', '[x](../README.md#three)\n', 'docs/a.md links to ../README.md#three, and README.md has no such heading'],
    ['an anchor of its own page', 'docs/a.md', '# A\n[x](#b)\n', 'docs/a.md links to #b, and docs/a.md has no such heading'],
    ['a decision', 'src/a.ts', '// decision 13\n', 'src/a.ts cites decision 13, which is not there'],
    ['one of two decisions', 'src/a.ts', '// decisions 12 and 14\n', 'src/a.ts cites decision 14, which is not there'],
    [
      'a decision by its file number',
      'docs/decisions/0012-why.md',
      'As 0011 said.\n',
      'docs/decisions/0012-why.md cites decision 11, which is not there',
    ],
    ['a finding', 'src/a.ts', '// evidence K9\n', 'src/a.ts cites evidence K9, and docs/evidence has no such finding'],
    [
      'a finding in the next line',
      'src/a.ts',
      '/**\n * as seen (evidence\n * K9)\n */\n',
      'src/a.ts cites evidence K9, and docs/evidence has no such finding',
    ],
    [
      'a finding in another form',
      'src/a.ts',
      '// stays as it is (operations: F47-F50)\n',
      'src/a.ts cites "operations: F47": a finding is cited as "evidence K7"',
    ],
    ['the end of a range', 'src/a.ts', '// evidence K1 to K3\n', 'src/a.ts cites evidence K3, and docs/evidence has no such finding'],
    [
      'a finding in the title of a test',
      'test/a.ts',
      "test('evidence V1', () => {})\n",
      'test/a.ts cites evidence V1, and docs/evidence has no such finding',
    ],
    ['a name that no code has', 'src/a.ts', '// `expectHolder` is false\n', 'src/a.ts names expectHolder, and no code has that name'],
    ['a script of npm', 'docs/a.md', '`npm run gone`\n', 'docs/a.md names npm run gone, which package.json does not have'],
  ] as const)('finds %s', ([, path, text, problem]) => {
    expect(broken(path, text)).toEqual([problem])
  })

  test.for([
    [
      'what is there',
      'src/a.ts',
      '// src/engine/plan.ts, engine/plan.ts, plan.ts, src/engine/*.ts, decision 12, evidence K1 and K2; npm run check\n',
    ],
    ['links', 'docs/a.md', '# A\n[a](../README.md#two-words-code) [b](decisions) [c](https://example.com/gone.md) [d](#a)\n'],
    ['paths of other machines', 'src/a.ts', '// /srv/a.md, ~/docs/a.md, $HOME/src/b.ts, /usr/src/linux\n'],
    ['a name that is there', 'src/a.ts', '/** What `someName` is. */\nconst someName = 1\n'],
    ['strings', 'src/a.ts', "write('gone.md')\n"],
    ['what a build makes', 'docs/a.md', '`dist/hactl.mjs`\n'],
  ] as const)('takes %s', ([, path, text]) => {
    expect(broken(path, text)).toEqual([])
  })
})
