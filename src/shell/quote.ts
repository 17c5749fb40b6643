import { HactlError } from '../errors.ts'

/** One value as one word of POSIX sh, whatever is in it (Shell Command Language, 2.2.2). */
export function shellQuote(value: string): string {
  assertText(value)
  return `'${value.replaceAll("'", "'\\''")}'`
}

/** Throws HactlError E_INTERNAL for what no shell word can hold. */
export function assertText(value: string): void {
  if (value.includes('\0')) throw refused('a value in a script has a NUL character, which no shell word can hold')
  if (!value.isWellFormed()) throw refused('a value in a script is not well-formed Unicode (a lone surrogate)')
}

/** The error for a script that hactl must not make. `where`: its text. */
export function refused(what: string, where?: string): HactlError {
  return new HactlError({
    code: 'E_INTERNAL',
    what,
    ...(where === undefined ? {} : { why: [`in: ${where}`] }),
    fix: 'this is a fault in hactl: report it with the command that you ran',
  })
}
