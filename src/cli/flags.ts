import { HactlError } from '../errors.ts'
import { LONGEST_TIMEOUT_MS } from '../patience.ts'

/** The flags of one run, read by their long name in camelCase. A flag that was not given is undefined, false or empty. */
export interface Flags {
  on(name: string): boolean
  text(name: string): string | undefined
  number(name: string): number | undefined
  list(name: string): readonly string[]
}

/** Reads commander's untyped values. */
export function flagsFrom(values: Readonly<Record<string, unknown>>): Flags {
  return {
    on: name => values[name] === true,
    text: name => {
      const value = values[name]
      return typeof value === 'string' ? value : undefined
    },
    number: name => {
      const value = values[name]
      return typeof value === 'number' ? value : undefined
    },
    list: name => {
      const value = values[name]
      return Array.isArray(value) ? value.flat().filter(item => typeof item === 'string') : []
    },
  }
}

export function usageError(what: string, fix: string): HactlError {
  return new HactlError({ code: 'E_USAGE', what, fix })
}

/**
 * Names, separated by commas. An empty name is refused: `--limit "$SERVER"` with the variable unset must not mean every server.
 */
export function nameList(value: string, flag: string): readonly string[] {
  const names = value.split(',').map(name => name.trim())
  if (!names.includes('')) return names
  throw usageError(
    `${flag} ${value.trim() === '' ? 'was given no name' : `holds an empty name: ${JSON.stringify(value)}`}`,
    `name servers, as in ${flag} srv-1,srv-2, or leave ${flag} out; a shell variable in it may be unset`,
  )
}

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): (value: string, flag: string) => number {
  return (value, flag) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
    if (!(number >= min && number <= max)) {
      throw usageError(`${flag} takes a whole number from ${min} to ${max}, not ${JSON.stringify(value)}`, `for example: ${flag} ${min}`)
    }
    return number
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const LONGEST_WAIT_MS = 24 * 3_600_000

/** "3s", "800ms", "1.5s", "2m", or a bare number of seconds; in ms. At most an hour. */
export function durationMs(value: string, flag: string): number {
  const match = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m)?$/.exec(value)
  const ms = match === null ? Number.NaN : Number(match[1]) * (UNIT_MS[match[2] ?? 's'] ?? 1000)
  if (!(ms > 0 && ms <= LONGEST_TIMEOUT_MS)) {
    throw usageError(
      `${flag} takes a duration such as 3s, 800ms or 2m (at most an hour), not ${JSON.stringify(value)}`,
      `for example: ${flag} 3s`,
    )
  }
  return ms
}

/** As durationMs, but the unit is required: some users mean seconds, others milliseconds. */
export function unitDurationMs(value: string, flag: string): number {
  if (/^\d+(?:\.\d+)?$/.test(value)) {
    throw usageError(
      `${flag} takes a duration with its unit, ms, s or m, not ${JSON.stringify(value)}`,
      `${flag} ${value}s or ${flag} ${value}ms`,
    )
  }
  return durationMs(value, flag)
}

/** "10m", "90s", "1h30m", as Go, kubectl and terraform write durations; in ms. At most a day. */
export function waitMs(value: string, flag: string): number {
  const parts = /^(?:\d{1,7}(?:\.\d{1,3})?(?:ms|s|m|h))+$/.test(value) ? value.matchAll(/([\d.]+)(ms|s|m|h)/g) : []
  const ms = [...parts].reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNIT_MS[unit] ?? Number.NaN), 0)
  if (!(ms > 0 && ms <= LONGEST_WAIT_MS)) {
    throw usageError(
      `${flag} takes a duration with its units, such as 10m, 90s or 1h30m (at most a day), not ${JSON.stringify(value)}`,
      `for example: ${flag} 10m`,
    )
  }
  return ms
}

/** One of a closed set of words. */
export function oneOf(words: readonly string[]): (value: string, flag: string) => string {
  return (value, flag) => {
    if (!words.includes(value))
      throw usageError(`${flag} takes one of ${words.join(', ')}, not ${JSON.stringify(value)}`, `for example: ${flag} ${words[0] ?? ''}`)
    return value
  }
}

const REPORT_ENDINGS = ['html', 'json', 'xml', 'md']

/** A file whose extension says what is written into it. */
export function reportFile(value: string, flag: string): string {
  const ending = /\.([a-z]+)$/.exec(value)?.[1]
  if (ending === undefined || !REPORT_ENDINGS.includes(ending)) {
    throw usageError(
      `${flag} takes a file that ends in ${REPORT_ENDINGS.map(e => `.${e}`).join(', ')}, not ${JSON.stringify(value)}`,
      `for example: ${flag} failover.html`,
    )
  }
  return value
}

/** An http:// or https:// URL without anything that could be a password. */
export function probeUrl(value: string, flag: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    throw usageError(
      `${flag} takes an http:// or https:// address, not ${JSON.stringify(value)}`,
      `for example: ${flag} http://192.0.2.200/health`,
    )
  }
  return value
}
