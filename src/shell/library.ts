/** Files of src/on-server as parts of a script: which files a call needs, in which order, and the variables that they are given. */
import { onServer } from '../on-server/files.ts'
import { refused, shellQuote } from './quote.ts'

/** What a call needs: files in the order in which they are read, and the variables that are set before them. */
export interface Library {
  readonly files: readonly string[]
  readonly given: Readonly<Record<string, string>>
}

export const NO_LIBRARY: Library = { files: [], given: {} }

const declarations = new Map<string, readonly string[]>()

/** The words behind "# needs:" or "# given:" in a file's first comment. */
function declared(file: string, word: 'needs' | 'given'): readonly string[] {
  const key = `${word} ${file}`
  const known = declarations.get(key)
  if (known !== undefined) return known
  const [head = ''] = onServer(file).split(/\n(?!#)/, 1)
  const words = [...head.matchAll(new RegExp(`^# ${word}: (.+)$`, 'gm'))].flatMap(match => match[1]?.split(' ') ?? [])
  declarations.set(key, words)
  return words
}

const needed = new Map<string, readonly string[]>()

/** The file and all files that it needs, each after the files that it needs itself. */
export function filesFor(file: string): readonly string[] {
  const known = needed.get(file)
  if (known !== undefined) return known
  const files = [...new Set([...declared(file, 'needs').flatMap(filesFor), file])]
  needed.set(file, files)
  return files
}

/** The variables that the file, or a file that it needs, declares. */
export function variablesOf(file: string): readonly string[] {
  return [...new Set(filesFor(file).flatMap(name => declared(name, 'given')))]
}

/** `given`: a value for each of variablesOf(file), and for no other. Throws HactlError E_INTERNAL. */
export function libraryOf(file: string, given: Readonly<Record<string, string | number>>): Library {
  const files = filesFor(file)
  const wanted = variablesOf(file)
  const wrong = [...wanted.filter(name => !Object.hasOwn(given, name)), ...Object.keys(given).filter(name => !wanted.includes(name))]
  if (wrong.length > 0) throw refused(`${file} and the variables that it is given do not agree: ${wrong.join(', ')}`)
  return { files, given: Object.fromEntries(Object.entries(given).map(([name, value]) => [name, wordOf(String(value))])) }
}

/** Quotes are left out where a value has only characters that mean nothing to a shell: operators read some of these. */
function wordOf(value: string): string {
  return /^[A-Za-z0-9._/-]+$/.test(value) ? value : shellQuote(value)
}

/** One library with the files of both. Throws HactlError E_INTERNAL where they have different values for one variable. */
export function joinLibraries(one: Library, other: Library): Library {
  if (one === other || other.files.length === 0) return one
  if (one.files.length === 0) return other
  for (const [name, value] of Object.entries(other.given))
    if ((one.given[name] ?? value) !== value) throw refused(`a script wants two values for the variable ${name}`)
  return { files: [...new Set([...one.files, ...other.files])], given: { ...one.given, ...other.given } }
}

/** The text that comes before a script that calls functions of the library. */
export function libraryText(library: Library): string {
  return [...variables(library), ...library.files.map(textOf)].join('')
}

function variables({ given }: Library): readonly string[] {
  return Object.entries(given).map(([name, value]) => `${name}=${value}\n`)
}

/**
 * A program of its own, for a file on the server: its first line, `head`, its first comment, the variables, the functions that it needs,
 * and the rest of it.
 */
export function programText(file: string, head: string, given: Readonly<Record<string, string | number>> = {}): string {
  const library = libraryOf(file, given)
  const [, first = '', about = '', rest = ''] = /^(#!.*\n)((?:#.*\n)*)([^]*)$/.exec(onServer(file)) ?? []
  const others = library.files.filter(name => name !== file).map(name => `\n${onServer(name)}`)
  return [first, head, ...[about, ...variables(library), ...others, rest].map(withoutDeclarations)].join('')
}

/** The text of a program with the files that it needs, for perl -e or python3 -c. */
export function sourceText(file: string): string {
  return filesFor(file).map(textOf).join('')
}

const bare = new Map<string, string>()

/** Comments are for readers of the repository: a server is sent only what runs there. */
function textOf(file: string): string {
  const text = bare.get(file) ?? onServer(file).replaceAll(/^[ \t]*#.*\n/gm, '')
  bare.set(file, text)
  return text
}

/** Declarations are for readers of the repository and for hactl. */
function withoutDeclarations(text: string): string {
  return text.replaceAll(/^# (?:needs|given): .*\n/gm, '')
}
