/** What the schema found wrong, in an operator's words: zod's issues as findings. */
import type { Finding } from './findings.ts'
import { quoted } from './findings.ts'
import { knownKeys } from './json-schema.ts'
import { nearestWord } from './suggest.ts'
import type * as z from 'zod'

type ZodIssue = z.core.$ZodIssue
type Path = readonly (string | number)[]

/** `authentication` too: a password written directly under it must not be shown either. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['authentication', 'auth_pass', 'become_password'])
const SECRET_SOURCES = ['env', 'file', 'command', 'literal'] as const

/** Findings for everything that the schema refused in `value`. */
export function shapeFindings(issues: readonly ZodIssue[], value: unknown): readonly Finding[] {
  return issues.flatMap(issue => findingsFor(issue, [], value))
}

function findingsFor(issue: ZodIssue, base: Path, root: unknown): readonly Finding[] {
  const path = [...base, ...issue.path.filter(step => typeof step !== 'symbol')]
  const value = valueAt(root, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(issue.keys, path, value)
    case 'invalid_key': {
      const message = issue.issues[0]?.message ?? 'must be a name'
      return [{ path, part: 'key', message: `${message}, not ${quoted(path.at(-1))}` }]
    }
    case 'invalid_union':
      return unionFindings(issue, path, root)
    case 'invalid_type':
    case 'invalid_value':
    case 'invalid_format':
    case 'invalid_element':
    case 'too_big':
    case 'too_small':
    case 'not_multiple_of':
    case 'custom':
      return [wrongValue(path, value, issue.message, isMissing(root, path))]
  }
}

/** More unknown keys than this in one mapping are no typing errors: it is another kind of file. */
const MAX_UNKNOWN = 50

function unknownKeys(keys: readonly string[], path: Path, parent: unknown): readonly Finding[] {
  const known = [...new Set(knownKeys(path))]
  const free = known.filter(key => typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, key))
  const findings: readonly Finding[] = keys.slice(0, MAX_UNKNOWN).map(key => {
    // A key that the mapping already has is suggested only where no other key is near.
    const meant = nearestWord(key, free) ?? nearestWord(key, known)
    return {
      path: [...path, key],
      part: 'key',
      message: 'unknown key',
      fix: meant === undefined ? `remove it, or use one of ${known.join(', ')}` : `did you mean ${meant}?`,
    }
  })
  const more = keys.length - findings.length
  return more > 0 ? [...findings, { path, message: `has ${more} more unknown keys` }] : findings
}

function wrongValue(path: Path, value: unknown, must: string, missing: boolean): Finding {
  if (missing) return { path, message: must === 'must be text' ? 'is missing' : `is missing; it ${must}` }
  if (value === null || value === undefined) return { path, message: `is empty; it ${must}`, fix: 'give it a value or remove the key' }
  const fix = fixFor(path, value, must)
  return { path, message: isSecret(path) ? must : `${must}, not ${found(value)}`, ...(fix === undefined ? {} : { fix }) }
}

function found(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  return quoted(value)
}

function fixFor(path: Path, value: unknown, must: string): string | undefined {
  if (value === 255 && path.at(-2) === 'priority') return 'at 255 keepalived drops the health check and the address never moves: use 254'
  if (must.startsWith('must be true or false') && typeof value === 'string' && /^(yes|no|on|off)$/i.test(value)) {
    return `YAML 1.2 reads ${value} as text: write ${/^(yes|on)$/i.test(value) ? 'true' : 'false'}`
  }
  if (/^must be (a whole )?number|^must be a number/.test(must) && typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)) {
    return 'remove the quotes'
  }
  if (must === 'must be text' && (typeof value === 'number' || typeof value === 'boolean')) return 'put the value in quotes'
  if (must.startsWith('must be a list') && (typeof value === 'string' || typeof value === 'number')) return 'write it in brackets: [...]'
  return undefined
}

/** Codes of an alternative of a union that the operator did not mean at all. */
const ALTERNATIVES: ReadonlySet<string> = new Set(['invalid_type', 'invalid_value'])

/** Reports the alternative that the operator was writing, not all of them. */
function unionFindings(issue: z.core.$ZodIssueInvalidUnion, path: Path, root: unknown): readonly Finding[] {
  const value = valueAt(root, path)
  if (isMissing(root, path)) return [wrongValue(path, value, issue.message, true)]
  if (path.at(-1) === 'auth_pass' || path.at(-1) === 'become_password') return secretFindings(issue, path, value, root)
  const meant = issue.errors.find(errors => errors.every(error => error.path.length > 0 || !ALTERNATIVES.has(error.code)))
  if (meant === undefined || meant.length === 0) return [wrongValue(path, value, issue.message, false)]
  return meant.flatMap(error => findingsFor(error, path, root))
}

function secretFindings(issue: z.core.$ZodIssueInvalidUnion, path: Path, value: unknown, root: unknown): readonly Finding[] {
  if (typeof value === 'number' || typeof value === 'boolean') {
    return [{ path, message: issue.message, fix: 'text of digits needs quotes; better keep the secret out of the file' }]
  }
  if (typeof value === 'string') return (issue.errors[0] ?? []).map(error => ({ path, message: error.message }))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [wrongValue(path, value, issue.message, false)]
  const keys = Object.keys(value)
  const unknown = keys.filter(key => !SECRET_SOURCES.some(source => source === key))
  if (unknown.length > 0) return unknownKeys(unknown, path, value)
  if (keys.length !== 1) return [{ path, message: `${issue.message}: exactly one of them` }]
  const branch = SECRET_SOURCES.findIndex(source => source === keys[0])
  // The bare literal is the first alternative of the union, then the sources in their order.
  return (issue.errors[branch + 1] ?? []).flatMap(error => findingsFor(error, path, root))
}

function isSecret(path: Path): boolean {
  return path.some(step => typeof step === 'string' && SECRET_KEYS.has(step))
}

/** The value at a path of plain data; undefined where there is none. */
function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function isMissing(root: unknown, path: Path): boolean {
  const parent = valueAt(root, path.slice(0, -1))
  const last = path.at(-1)
  return last !== undefined && typeof parent === 'object' && parent !== null && !Object.hasOwn(parent, last)
}
