import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { programsIn } from '../../scripts/support/programs.ts'
import { onServer } from '../../src/on-server/files.ts'
import { filesFor, joinLibraries, libraryOf, sourceText } from '../../src/shell/library.ts'
import { ShellReader } from '../../src/shell/sh-context.ts'
import { evalWord, joinScripts, scriptWord, sh, shWith, systemdWord } from '../../src/shell/sh.ts'

const ROOT = join(import.meta.dirname, '../..')
const ON_SERVER = join(ROOT, 'src/on-server')
const run = (script: { raw: string }) => execFileSync('/bin/sh', ['-c', script.raw], { encoding: 'utf8' })
const REPORT = { STOPPING_STATUS: 99 }

describe('a call of a library', () => {
  const report = shWith('report.sh', REPORT)

  test('begins with the file, which is included once however often it is called', () => {
    const script = joinScripts([report`step a ${"it's"}`, sh`( ${report`done_ a`} )`])
    expect(run(script)).toBe("@@step a it's\n@@done a\n")
    expect(script.raw.split('\nstep() {').length).toBe(2)
  })

  test('is the only part that a log shows', () => {
    expect(report`step a b`.masked).toBe('step a b')
  })

  test('needs a value for every variable that the file declares, and for no other', () => {
    expect(() => shWith('report.sh')).toThrow(/STOPPING_STATUS/)
    expect(() => shWith('report.sh', { ...REPORT, OTHER: 'x' })).toThrow(/OTHER/)
  })

  test('cannot be joined with a call that gives another value to a variable', () => {
    expect(() => joinScripts([report`step a b`, shWith('report.sh', { STOPPING_STATUS: 1 })`step a b`])).toThrow(/STOPPING_STATUS/)
    expect(joinLibraries(libraryOf('report.sh', REPORT), libraryOf('report.sh', REPORT)).files).toEqual(['report.sh'])
  })

  test('reaches another shell as one word, with its library', () => {
    expect(run(sh`/bin/sh -c ${scriptWord(report`step a ${'$HOME'}`)}`)).toBe('@@step a $HOME\n')
  })

  test('reaches a function that evaluates it as one word, and its library comes before', () => {
    const script = sh`later() { eval "$1"; }; later ${evalWord(report`step a ${"it's $HOME"}`)}`
    expect(run(script)).toBe("@@step a it's $HOME\n")
    expect(script.raw.indexOf('step() {')).toBeLessThan(script.raw.indexOf('later()'))
    expect(script.raw.split('step() {').length).toBe(2)
  })

  test('keeps its dollar signs where systemd would expand them', () => {
    expect(systemdWord(sh`echo "$x" \${y}`).raw).toBe(`'echo "$$x" $\${y}'`)
  })
})

test('a Perl program comes after what it needs', () => {
  expect(filesFor('wire-probe.pl')).toEqual(['link.pl', 'wire-probe.pl'])
  const text = sourceText('wire-probe.pl')
  expect(text.startsWith('use strict;')).toBe(true)
  expect(text.indexOf('sub arp_request')).toBeLessThan(text.indexOf('sub whole'))
})

describe.each(readdirSync(ON_SERVER).filter(name => name.endsWith('.sh')))('%s', file => {
  const text = onServer(file)

  test('has no line that begins with # except comments, which are not sent', () => {
    const reader = new ShellReader()
    const elsewhere = text.split('\n').filter(line => {
      const context = reader.context()
      reader.read(`${line}\n`)
      return line.trimStart().startsWith('#') && context !== 'word'
    })
    expect(elsewhere).toEqual([])
  })
})

const shellPrograms = programsIn(['src', 'scripts', 'test', '.ci'].map(folder => join(ROOT, folder))).shell

test.each(shellPrograms.map(path => relative(ROOT, path)))('%s gives a reason for each of its shellcheck directives', path => {
  expect(readFileSync(join(ROOT, path), 'utf8').match(/# shellcheck disable=\S+\s*$/gm)).toBeNull()
})

test('every file is used by TypeScript or by another file', () => {
  const src = join(import.meta.dirname, '../../src')
  const texts = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => readFileSync(join(src, file), 'utf8'))
  const files = readdirSync(ON_SERVER).filter(file => /[.](?:sh|pl|py)$/.test(file))
  const needed = new Set(files.filter(file => texts.some(text => text.includes(`'${file}'`))).flatMap(filesFor))
  expect(files.filter(file => !needed.has(file))).toEqual([])
})
