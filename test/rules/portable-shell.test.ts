/** What runs on servers is limited to what POSIX has, or GNU's tools, uutils' and busybox's share; each pattern was seen to differ. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

const UNSHARED: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/\bdate -d\b/, "uutils 0.0.30 and busybox refuse openssl's times"],
  [/%\d+N\b|%s%N/, "the date of Ubuntu 26.04 prints all nine digits without leading zeros, busybox's the letters: ask for '+%s %N'"],
  [/--reference\b/, 'busybox has no chown --reference: stat -c %u:%g tells whose it is'],
  [/-printf\b/, 'busybox has no find -printf'],
  [/sum -c --quiet\b/, 'busybox has no --quiet'],
  [/\bstat (?!-c |-L -c )-/, 'only stat -c and stat -L -c are the same everywhere'],
  [/\b(?:head|tail) -\d/, 'POSIX took the short form away: -n'],
  [/\bls -(?!1A? )[A-Za-z1]/, 'only names, one a line, are the same everywhere'],
  [/\breadlink -[efm]/, 'what is missing of a path is taken in different ways'],
  [/\bsort -[a-zA-Z]*[VR]/, 'busybox may lack it'],
  [/\bdf (?!-Pk? |-h\b)-/, 'only the POSIX form has fixed columns'],
]

function codeLines(): readonly { readonly place: string; readonly line: string }[] {
  return globSync('src/**/*.{ts,sh,pl,py}', { cwd: root }).flatMap(path =>
    readFileSync(join(root, path), 'utf8')
      .split('\n')
      .map((line, at) => ({ place: `${path}:${at + 1}`, line }))
      .filter(({ line }) => !/^\s*(?:[#*]|\/\/|\/\*\*)/.test(line)),
  )
}

test('no script uses what the usual families of tools do differently', () => {
  const lines = codeLines()
  expect(lines.length).toBeGreaterThan(10_000)
  const found = lines.flatMap(({ place, line }) => UNSHARED.flatMap(([pattern, why]) => (pattern.test(line) ? [`${place}: ${why}`] : [])))
  expect(found).toEqual([])
})

test('each pattern finds its example', () => {
  const bad = [
    'end=$(date -d "$x" +%s)',
    'date +%s%3N',
    'chown --reference="$a" "$b"',
    "find x -printf '%h'",
    'sha256sum -c --quiet',
    'stat -f -c %i /',
    'head -5',
    'ls -la /x',
    'readlink -f x',
    'sort -V',
    'df -m /var',
  ]
  expect(bad.map(line => UNSHARED.findIndex(([pattern]) => pattern.test(line)))).toEqual(bad.map((_, at) => at))
})
