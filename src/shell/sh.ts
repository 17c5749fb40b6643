import { HactlError } from '../errors.ts'
import type { Script } from '../ports.ts'
import { MASK, Secret } from '../secret.ts'
import type { ShellContext } from './sh-context.ts'
import { ShellReader } from './sh-context.ts'

/** What may stand in a sh`...`: text, numbers and secrets are quoted, scripts are spliced in as they are, lists are joined by a space. */
export type ShValue = string | number | Secret | Script | readonly (string | number | Secret | Script)[]

// A Script is plain data, but only text made here may be spliced in unquoted: a look-alike object is refused.
// The value says whether what follows the script must begin on a new line.
const made = new WeakMap<object, boolean>()

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
 * backtick; an escape that JavaScript would silently drop (\. or \s) is refused. So is a value inside quotes, a comment or a
 * here-document (numbers may stand anywhere), where quoting it would not protect it: write --name=${value} instead of "--name=${value}".
 * Throws HactlError E_INTERNAL.
 */
export function sh(literals: TemplateStringsArray, ...values: readonly ShValue[]): Script {
  const shape = shapes.get(literals) ?? shapeOf(literals)
  shapes.set(literals, shape)
  let raw = literals[0] ?? ''
  let masked = raw
  let needsNewline = shape.needsNewline
  values.forEach((value, index) => {
    const literal = literals[index + 1] ?? ''
    assertPlace(value, shape.holes[index] ?? 'word', literals)
    const text = scriptOf(value)
    if (made.get(text) === true) {
      const isLast = index === values.length - 1 && literal === ''
      if (!isLast && !literal.startsWith('\n'))
        throw refused('a script that ends in a comment or a here-document must be followed by a new line', literals)
      needsNewline ||= isLast
    }
    raw += text.raw + literal
    masked += text.masked + literal
  })
  return make(raw, masked, needsNewline)
}

/** Several scripts one after the other, each on its own lines unless another separator is given. */
export function joinScripts(scripts: readonly Script[], separator: '\n' | ' ' | ' && ' | '; ' | ' | ' = '\n'): Script {
  for (const script of scripts) assertMade(script)
  if (separator !== '\n' && scripts.slice(0, -1).some(s => made.get(s))) {
    throw refused(`scripts that end in a comment or a here-document cannot be joined by "${separator}"`)
  }
  return make(
    scripts.map(s => s.raw).join(separator),
    scripts.map(s => s.masked).join(separator),
    scripts.length > 0 && made.get(scripts[scripts.length - 1] ?? {}) === true,
  )
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
  return make(quoted, options.mask ? `'<${bytes.length} bytes>'` : quoted, false)
}

/** One value as one word of POSIX sh, whatever is in it (Shell Command Language, 2.2.2). */
export function shellQuote(value: string): string {
  assertText(value)
  return `'${value.replaceAll("'", "'\\''")}'`
}

function scriptOf(value: ShValue): Script {
  if (typeof value === 'string') {
    const quoted = shellQuote(value)
    return { raw: quoted, masked: quoted }
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused(`a number in a script is ${value}`)
    return { raw: String(value), masked: String(value) }
  }
  if (value instanceof Secret) return { raw: shellQuote(value.reveal()), masked: MASK }
  if (isList(value)) {
    const parts = value.map(scriptOf)
    if (parts.some(part => made.get(part))) throw refused('a script in a list of words ends in a comment or a here-document')
    return { raw: parts.map(p => p.raw).join(' '), masked: parts.map(p => p.masked).join(' ') }
  }
  assertMade(value)
  return value
}

// Array.isArray does not narrow a readonly array out of a union.
function isList(value: Script | readonly (string | number | Secret | Script)[]): value is readonly (string | number | Secret | Script)[] {
  return Array.isArray(value)
}

function make(raw: string, masked: string, needsNewline: boolean): Script {
  const script: Script = Object.freeze({ raw, masked })
  made.set(script, needsNewline)
  return script
}

function assertMade(script: Script): void {
  if (typeof script !== 'object' || script === null || !made.has(script))
    throw refused('a value in a script is neither text nor made by sh`...`')
}

function assertText(value: string): void {
  if (value.includes('\0')) throw refused('a value in a script has a NUL character, which no shell word can hold')
  if (!value.isWellFormed()) throw refused('a value in a script is not well-formed Unicode (a lone surrogate)')
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
  throw refused(`a value stands ${UNSAFE[context]}, where it cannot be quoted`, literals)
}

function shapeOf(literals: TemplateStringsArray): Shape {
  const reader = new ShellReader()
  const holes: ShellContext[] = []
  literals.forEach((literal, index) => {
    // Where an escape is not valid JavaScript (\1), a tagged template gets undefined, whatever the type says.
    const lossy = /\\(?![\\`$nt\n]|u[0-9a-fA-F{]|x[0-9a-fA-F])./su.exec(literals.raw[index]?.replaceAll('\\\\', '') ?? '')
    if (lossy !== null || typeof literal !== 'string') {
      throw refused(`the script text has ${lossy?.[0] ?? 'an escape'} that JavaScript would drop: write \\\\ for a backslash`, literals)
    }
    assertText(literal)
    if (index > 0) reader.hole()
    reader.read(literal)
    if (index < literals.length - 1) holes.push(reader.context())
  })
  const unclosed = reader.unclosed()
  if (unclosed !== undefined) throw refused(`the script text ends in an open ${unclosed}`, literals)
  return { holes, needsNewline: reader.needsNewline() }
}

function refused(what: string, literals?: TemplateStringsArray): HactlError {
  return new HactlError({
    code: 'E_INTERNAL',
    what,
    ...(literals === undefined ? {} : { why: [`in: ${literals.raw.join('${...}')}`] }),
    fix: 'this is a fault in hactl: report it with the command that you ran',
  })
}
