/** Files of src/on-server as parts of a script: which a call needs, in which order, and the variables that they are given. */
import { onServer } from '../on-server/files.ts'
import { refused, shellQuote } from './quote.ts'

/** What a call needs: files in the order in which they are read, and the variables that stand before them. */
export interface Library {
  readonly files: readonly string[]
  readonly given: Readonly<Record<string, string>>
}

export const NO_LIBRARY: Library = { files: [], given: {} }

/** The words behind "# needs:" or "# given:" in a file's first comment. */
function declared(text: string, word: 'needs' | 'given'): readonly string[] {
  const [head = ''] = text.split(/\n(?!#)/, 1)
  return [...head.matchAll(new RegExp(`^# ${word}: (.+)$`, 'gm'))].flatMap(match => match[1]?.split(' ') ?? [])
}

/** The file and everything that it needs, each after what it needs itself. */
export function filesFor(file: string): readonly string[] {
  return [...new Set([...declared(onServer(file), 'needs').flatMap(filesFor), file])]
}

/** `given`: a value for every variable that the file, or one that it needs, declares, and no other. Throws HactlError E_INTERNAL. */
export function libraryOf(file: string, given: Readonly<Record<string, string | number>>): Library {
  const files = filesFor(file)
  const wanted = [...new Set(files.flatMap(name => declared(onServer(name), 'given')))]
  const wrong = [...wanted.filter(name => !Object.hasOwn(given, name)), ...Object.keys(given).filter(name => !wanted.includes(name))]
  if (wrong.length > 0) throw refused(`${file} and the variables that it is given do not agree: ${wrong.join(', ')}`)
  return { files, given: Object.fromEntries(Object.entries(given).map(([name, value]) => [name, shellQuote(String(value))])) }
}

/** One library that does for both. Throws HactlError E_INTERNAL where they want different values for one variable. */
export function joinLibraries(one: Library, other: Library): Library {
  if (one === other || other.files.length === 0) return one
  if (one.files.length === 0) return other
  for (const [name, value] of Object.entries(other.given))
    if ((one.given[name] ?? value) !== value) throw refused(`a script wants two values for the variable ${name}`)
  return { files: [...new Set([...one.files, ...other.files])], given: { ...one.given, ...other.given } }
}

/** What stands before a script that calls functions of the library. */
export function libraryText(library: Library): string {
  return [...variables(library), ...library.files.map(textOf)].join('')
}

function variables({ given }: Library): readonly string[] {
  return Object.entries(given).map(([name, value]) => `${name}=${value}\n`)
}

/** A program of its own, for a file on the server: after its first line and `head` the variables, the functions that it needs, and its text. */
export function programText(file: string, head: string, given: Readonly<Record<string, string | number>> = {}): string {
  const library = libraryOf(file, given)
  const text = onServer(file)
  const first = text.slice(0, text.indexOf('\n') + 1)
  const parts = [...library.files.filter(name => name !== file).map(onServer), text.slice(first.length)]
  return [first, head, ...variables(library), ...parts.map(part => part.replaceAll(/^# (?:needs|given): .*\n/gm, ''))].join('')
}

/** A Perl program with the files that it needs, for perl -e. */
export function perlText(file: string): string {
  return filesFor(file).map(textOf).join('')
}

/** Comments are for whoever reads the file where it lies: a server is sent what runs there. */
function textOf(file: string): string {
  return onServer(file).replaceAll(/^[ \t]*#.*\n/gm, '')
}
