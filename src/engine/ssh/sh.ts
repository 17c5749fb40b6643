import { HactlError } from '../../errors.ts'
import type { Script } from '../../ports.ts'
import { MASK, Secret } from '../../secret.ts'
import { ShellReader } from './sh-context.ts'

/** What may stand in a sh`...`: text, numbers and secrets are quoted, scripts are spliced in as they are, lists are joined by a space. */
export type ShValue = string | number | Secret | Script | readonly (string | number | Secret | Script)[]

// A Script is plain data, but only text made here may be spliced in unquoted: a look-alike object is refused.
const made = new WeakSet<object>()
const checked = new WeakSet<TemplateStringsArray>()

/**
 * Shell text in which every value is quoted: sh`install -m ${mode} ${from} ${to}`.
 *
 * The text between the values is taken as JavaScript reads it: write \\ for a backslash, \${ for the shell's own ${, and \` for a
 * backtick; an escape that JavaScript would silently drop (\. or \s) is refused. So is a value inside quotes, a comment or a
 * here-document, where quoting it would not protect it: write --name=${value} instead of "--name=${value}".
 * Throws HactlError E_INTERNAL.
 */
export function sh(literals: TemplateStringsArray, ...values: readonly ShValue[]): Script {
  if (!checked.has(literals)) {
    assertHolesAreWords(literals)
    checked.add(literals)
  }
  let raw = literals[0] ?? ''
  let masked = raw
  values.forEach((value, index) => {
    const literal = literals[index + 1] ?? ''
    const text = scriptOf(value)
    raw += text.raw + literal
    masked += text.masked + literal
  })
  return make(raw, masked)
}

/** Several scripts one after the other, each on its own lines unless another separator is given. */
export function joinScripts(scripts: readonly Script[], separator: '\n' | ' ' | ' && ' | '; ' | ' | ' = '\n'): Script {
  for (const script of scripts) assertMade(script)
  return make(scripts.map(s => s.raw).join(separator), scripts.map(s => s.masked).join(separator))
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
  return make(quoted, options.mask ? `'<${bytes.length} bytes>'` : quoted)
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
    return { raw: parts.map(p => p.raw).join(' '), masked: parts.map(p => p.masked).join(' ') }
  }
  assertMade(value)
  return value
}

// Array.isArray does not narrow a readonly array out of a union.
function isList(value: Script | readonly (string | number | Secret | Script)[]): value is readonly (string | number | Secret | Script)[] {
  return Array.isArray(value)
}

function make(raw: string, masked: string): Script {
  const script: Script = Object.freeze({ raw, masked })
  made.add(script)
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

const CONTEXT_NAMES = {
  'single-quotes': 'inside single quotes',
  'double-quotes': 'inside double quotes',
  comment: 'inside a comment',
  heredoc: 'inside a here-document',
} as const

function assertHolesAreWords(literals: TemplateStringsArray): void {
  const reader = new ShellReader()
  literals.forEach((literal, index) => {
    // Where an escape is not valid JavaScript (\1), a tagged template gets undefined, whatever the type says.
    const lossy = /\\(?![\\`$nt\n]|u[0-9a-fA-F{]|x[0-9a-fA-F])./su.exec(literals.raw[index]?.replaceAll('\\\\', '') ?? '')
    if (lossy !== null || typeof literal !== 'string') {
      throw refused(`the script text has ${lossy?.[0] ?? 'an escape'} that JavaScript would drop: write \\\\ for a backslash`, literals)
    }
    assertText(literal)
    if (index > 0) reader.hole()
    reader.read(literal)
    if (index === literals.length - 1) return
    const context = reader.context()
    if (context !== 'word') throw refused(`a value stands ${CONTEXT_NAMES[context]}, where it cannot be quoted`, literals)
  })
  const unclosed = reader.unclosed()
  if (unclosed !== undefined) throw refused(`the script text ends in open ${unclosed}`, literals)
}

function refused(what: string, literals?: TemplateStringsArray): HactlError {
  return new HactlError({
    code: 'E_INTERNAL',
    what,
    ...(literals === undefined ? {} : { why: [`in: ${literals.raw.join('${...}')}`] }),
    fix: 'this is a fault in hactl: report it with the command that you ran',
  })
}
