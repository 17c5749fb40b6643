/** Programs that run on servers are files, which checkers read. TypeScript contains only calls of one line. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const SRC = resolve(import.meta.dirname, '../../src')
// become.ts is the one line that opens a shell, before any file can be sent; cli/ has what the operator's own shell runs.
const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter(file =>
  /^(?!cli[/]|engine[/]ssh[/]become[.]ts$).*[.]ts$/.test(file),
)

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

/** Lines of scripts that have more than one, in the order of the file. */
function scriptLines(text: string): readonly string[] {
  const tags = ['sh', ...[...text.matchAll(/const (\w+) = shWith\(/g)].map(match => match[1] ?? '')]
  return [...text.matchAll(new RegExp(`(?<![\\w\`/'.-])(?:${tags.join('|')})\``, 'g'))].flatMap(match => {
    const from = match.index + match[0].length
    const lines = text
      .slice(from, endOf(text, from))
      .split('\n')
      .filter(line => line.trim() !== '')
    return lines.length > 1 ? lines : []
  })
}

/** Text that only a shell or Perl contains, anywhere in TypeScript. */
const FOREIGN = /; (?:do|done|fi|esac)\b|\]; then\b|^\s*(?:fi|done|esac)\b|\bmy \$\w|\buse strict;/

test('no TypeScript file contains a program for servers', () => {
  const found = sources.flatMap(file => {
    const text = readFileSync(join(SRC, file), 'utf8')
    const code = text.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '').split('\n')
    const lines = [...scriptLines(text), ...code.filter(line => FOREIGN.test(line))]
    return lines.map(line => `src/${file}: ${line}`)
  })
  expect(found).toEqual([])
})
