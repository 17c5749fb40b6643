import type { Script } from '../ports.ts'
import { MASK, Secret } from '../secret.ts'
import { joinLibraries, type Library, libraryOf, libraryText, NO_LIBRARY } from './library.ts'
import { assertText, refused, shellQuote } from './quote.ts'
import type { ShellContext } from './sh-context.ts'
import { ShellReader } from './sh-context.ts'

/** What may stand in a sh`...`: text, numbers and secrets are quoted, scripts are spliced in as they are, lists are joined by a space. */
export type ShValue = string | number | Secret | Script | readonly (string | number | Secret | Script)[]

/** A script without the library that comes before it. It is what is spliced into other scripts, whose libraries are joined. */
interface Body {
  readonly raw: string
  readonly masked: string
  /** What follows the script must begin on a new line. */
  readonly needsNewline: boolean
  readonly library: Library
}

// A Script is plain data, but only text made here may be spliced in unquoted: an object that only looks like one is refused.
const made = new WeakMap<object, Body>()

/** What is known about the text of one template: where its values stand, and how it ends. */
interface Shape {
  readonly holes: readonly ShellContext[]
  readonly needsNewline: boolean
}
const shapes = new WeakMap<TemplateStringsArray, Shape>()

/**
 * Shell text in which every value is quoted: sh`install -m ${mode} ${from} ${to}`.
 *
 * The text between the values is taken as JavaScript reads it: write \\ for a backslash, \${ for the shell's own ${, and \` for a
 * backtick. An escape that JavaScript would silently drop (\. or \s) is refused. A value inside quotes, a comment or a here-document is
 * refused too, because quoting would not protect it there: write --name=${value} instead of "--name=${value}". Numbers are allowed anywhere.
 * Throws HactlError E_INTERNAL.
 */
export function sh(literals: TemplateStringsArray, ...values: readonly ShValue[]): Script {
  return fill(literals, values, NO_LIBRARY)
}

/**
 * As `sh`, for text that calls functions of a file in src/on-server. Every script that it becomes part of begins with that file and the
 * files that it needs. `given`: the variables that they declare. Logs show the call only.
 */
export function shWith(file: string, given: Readonly<Record<string, string | number>> = {}): typeof sh {
  const library = libraryOf(file, given)
  return (literals, ...values) => fill(literals, values, library)
}

function fill(literals: TemplateStringsArray, values: readonly ShValue[], own: Library): Script {
  const shape = shapes.get(literals) ?? shapeOf(literals)
  shapes.set(literals, shape)
  let raw = literals[0] ?? ''
  let masked = raw
  let needsNewline = shape.needsNewline
  let library = own
  values.forEach((value, index) => {
    const literal = literals[index + 1] ?? ''
    assertPlace(value, shape.holes[index] ?? 'word', literals)
    const text = bodyOf(value)
    if (text.needsNewline) {
      const isLast = index === values.length - 1 && literal === ''
      if (!isLast && !literal.startsWith('\n'))
        throw refused('a script that ends in a comment or a here-document must be followed by a new line', textOf(literals))
      needsNewline ||= isLast
    }
    raw += text.raw + literal
    masked += text.masked + literal
    library = joinLibraries(library, text.library)
  })
  return make({ raw, masked, needsNewline, library })
}

/** Several scripts one after the other, each on its own lines unless another separator is given. */
export function joinScripts(scripts: readonly Script[], separator: '\n' | ' ' | ' && ' | '; ' | ' | ' = '\n'): Script {
  const bodies = scripts.map(madeBody)
  if (separator !== '\n' && bodies.slice(0, -1).some(body => body.needsNewline)) {
    throw refused(`scripts that end in a comment or a here-document cannot be joined by "${separator}"`)
  }
  return make({
    raw: bodies.map(body => body.raw).join(separator),
    masked: bodies.map(body => body.masked).join(separator),
    needsNewline: bodies.at(-1)?.needsNewline === true,
    library: bodies.map(body => body.library).reduce(joinLibraries, NO_LIBRARY),
  })
}

/** A whole script as one word: sh`/bin/sh -c ${scriptWord(script)}`. */
export function scriptWord(script: Script): Script {
  madeBody(script)
  return plain(shellQuote(script.raw), shellQuote(script.masked))
}

/**
 * A script as one word that a function of the same shell evaluates: call`later ${evalWord(script)}`. The library that it calls comes before
 * the whole script, and not into the word.
 */
export function evalWord(script: Script): Script {
  const { raw, masked, library } = madeBody(script)
  return make({ ...bodyWith(shellQuote(raw), shellQuote(masked)), library })
}

/**
 * A whole script as one argument of a command that systemd runs: sh`systemd-run /bin/sh -c ${systemdWord(script)}`. systemd replaces $NAME
 * and ${NAME} in it and reads $$ as $ (systemd.service(5), "COMMAND LINES").
 */
export function systemdWord(script: Script): Script {
  madeBody(script)
  const escaped = (text: string) => shellQuote(text.replaceAll('$', '$$$$'))
  return plain(escaped(script.raw), escaped(script.masked))
}

/**
 * The base64 text of a file's content, quoted: sh`printf %s ${base64Literal(text)} | base64 -d > ${path}`. printf is built into
 * dash and bash, so that no size limit of argv applies and no other user's ps shows it.
 * `mask` replaces it by its size in what logs show.
 */
export function base64Literal(content: string | Buffer, options: { readonly mask: boolean } = { mask: false }): Script {
  if (typeof content === 'string') assertText(content)
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content
  const quoted = `'${bytes.toString('base64')}'`
  return plain(quoted, options.mask ? `'<${bytes.length} bytes>'` : quoted)
}

function bodyOf(value: ShValue): Body {
  if (typeof value === 'string') {
    const quoted = shellQuote(value)
    return bodyWith(quoted, quoted)
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(`a number in a script is ${value}`)
    return bodyWith(String(value), String(value))
  }
  if (value instanceof Secret) return bodyWith(shellQuote(value.reveal()), MASK)
  if (isList(value)) {
    const parts = value.map(bodyOf)
    if (parts.some(part => part.needsNewline)) throw refused('a script in a list of words ends in a comment or a here-document')
    return {
      ...bodyWith(parts.map(p => p.raw).join(' '), parts.map(p => p.masked).join(' ')),
      library: parts.map(part => part.library).reduce(joinLibraries, NO_LIBRARY),
    }
  }
  return madeBody(value)
}

// Array.isArray does not narrow a readonly array out of a union.
function isList(value: Script | readonly (string | number | Secret | Script)[]): value is readonly (string | number | Secret | Script)[] {
  return Array.isArray(value)
}

function bodyWith(raw: string, masked: string): Body {
  return { raw, masked, needsNewline: false, library: NO_LIBRARY }
}

function plain(raw: string, masked: string): Script {
  return make(bodyWith(raw, masked))
}

function make(body: Body): Script {
  const script: Script = Object.freeze({ raw: libraryText(body.library) + body.raw, masked: body.masked })
  made.set(script, body)
  return script
}

function madeBody(script: Script): Body {
  const body = typeof script === 'object' && script !== null ? made.get(script) : undefined
  if (body === undefined) throw refused('a value in a script is neither text nor made by sh`...`')
  return body
}

const UNSAFE = {
  'single-quotes': 'inside single quotes',
  'double-quotes': 'inside double quotes',
  backquotes: 'inside backquotes',
  arithmetic: 'inside $(( ))',
  comment: 'inside a comment',
  heredoc: 'inside a here-document',
  glued: 'right after a backslash, a $ or <<',
} as const

function assertPlace(value: ShValue, context: ShellContext, literals: TemplateStringsArray): void {
  if (context === 'word') return
  // A number is not quoted, and has no character that means something to a shell.
  if (typeof value === 'number' && context !== 'glued') return
  throw refused(`a value stands ${UNSAFE[context]}, where it cannot be quoted`, textOf(literals))
}

function shapeOf(literals: TemplateStringsArray): Shape {
  const reader = new ShellReader()
  const holes: ShellContext[] = []
  literals.forEach((literal, index) => {
    // Where an escape is not valid JavaScript (\1), a tagged template gets undefined, whatever the type says.
    const lossy = /\\(?![\\`$nt\n]|u[0-9a-fA-F{]|x[0-9a-fA-F])./su.exec(literals.raw[index]?.replaceAll('\\\\', '') ?? '')
    if (lossy !== null || typeof literal !== 'string') {
      throw refused(
        `the script text has ${lossy?.[0] ?? 'an escape'} that JavaScript would drop: write \\\\ for a backslash`,
        textOf(literals),
      )
    }
    assertText(literal)
    if (index > 0) reader.hole()
    reader.read(literal)
    if (index < literals.length - 1) holes.push(reader.context())
  })
  const unclosed = reader.unclosed()
  if (unclosed !== undefined) throw refused(`the script text ends in an open ${unclosed}`, textOf(literals))
  return { holes, needsNewline: reader.needsNewline() }
}

function textOf(literals: TemplateStringsArray): string {
  return literals.raw.join('${...}')
}
