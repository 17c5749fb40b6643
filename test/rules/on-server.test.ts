/** Programs that run on servers are files, which checkers read. TypeScript contains only calls of one line. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const SRC = resolve(import.meta.dirname, '../../src')
// cli/ has what the operator's own shell runs.
const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file => /^(?!cli[/]).*[.]ts$/.test(file))

/** The command line of the ssh exec: it is the program that opens the shell, so it cannot be a file that is sent to one. */
const OPENS_THE_SHELL = /^export function bootstrapFor\([^]*?^\}$/m

/** Where the template literal whose text begins at `from` ends. */
function endOf(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '`') return at
    else if (text.startsWith('${', at)) at = endOfHole(text, at + 2)
  }
  return text.length
}

/** Where the ${} whose text begins at `from` ends. */
function endOfHole(text: string, from: number): number {
  let depth = 1
  for (let at = from; at < text.length; at++) {
    const c = text[at] ?? ''
    if (c === "'" || c === '"') at = text.indexOf(c, at + 1)
    else if (c === '`') at = endOf(text, at + 1)
    else if (c === '{') depth++
    else if (c === '}' && --depth === 0) return at
  }
  return text.length
}

/** A template literal's own text. */
function withoutHoles(literal: string): string {
  const at = literal.indexOf('${')
  return at < 0 ? literal : `${literal.slice(0, at)}0${withoutHoles(literal.slice(endOfHole(literal, at + 2) + 1))}`
}

/** What only a program has: pipes, groups, functions, traps, the output of another command. */
const PROGRAM = /(?<![|])[|](?![|])|[{}]|\$\(|\(\)|\btrap\b/

/** Lines of scripts that have more than one or that are a program all the same, in the order of the file. */
function scriptLines(text: string): readonly string[] {
  const tags = ['sh', ...[...text.matchAll(/const (\w+) = (?:shWith|onState)\(/g)].map(match => match[1] ?? '')]
  const opening = new RegExp(`(?<![\\w\`/'.-])(?:${tags.join('|')}|(?:shWith|onState|preparing)\\([^\`\\n]*\\))\``, 'g')
  return [...text.matchAll(opening)].flatMap(match => {
    const from = match.index + match[0].length
    const script = text.slice(from, endOf(text, from))
    const lines = script.split('\n').filter(line => line.trim() !== '')
    return lines.length > 1 || PROGRAM.test(withoutHoles(script)) ? lines : []
  })
}

/** Text that only a shell or Perl contains, anywhere in TypeScript. */
const FOREIGN = /; (?:do|done|fi|esac)\b|\]; then\b|^\s*(?:fi|done|esac)\b|\bmy \$\w|\buse strict;|'sh', '-c'/

/** These have a shell of this machine run a command of the operator's own. */
const LOCAL = new Set(['inventory/secrets.ts'])

const findings = (text: string) => {
  const code = text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '').replace(OPENS_THE_SHELL, '')
  return [...scriptLines(code), ...code.split('\n').filter(line => FOREIGN.test(line))]
}

test('no TypeScript file contains a program for servers', () => {
  const found = sources
    .filter(file => !LOCAL.has(file))
    .flatMap(file => findings(readFileSync(join(SRC, file), 'utf8')).map(line => `src/${file}: ${line}`))
  expect(found).toEqual([])
})

test('the rule finds such programs', () => {
  const bad = [
    'sh`a || { echo no >&2; exit 1; }`',
    'sh`found=$(a) || exit`',
    'sh`a ${b} | c`',
    'sh`f() { ${g}; }`',
    "sh`trap 'rm -f x' EXIT`",
    'call`{ ${a} } &`\nconst call = shWith(',
    "onState('a.sh')`a | b`",
    "const argv = ['sh', '-c', PROGRAM]",
  ]
  expect(bad.filter(text => findings(text).length !== 1)).toEqual([])
  expect(findings('sh`a ${[b].map(c => `${c}|`)} || d ${e} && /bin/sh -c ${f}`')).toEqual([])
})
