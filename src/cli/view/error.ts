import { inspect } from 'node:util'
import { HactlErrors, PreflightErrors, type HactlError } from '../../errors.ts'
import { renderPreflight } from './preflight.ts'
import { printable, wrap, type Style } from './style.ts'

const CODE_COLUMN = 71

export interface ErrorView {
  /** Of the terminal. */
  readonly columns: number
  readonly verbose: boolean
  readonly style: Style
}

/** An error in three parts: what (with server and code), why, fix. Several errors follow each other. */
export function renderError(error: HactlError, view: ErrorView): string {
  const all = error instanceof HactlErrors ? error.errors : [error]
  const blocks = all.map(one => renderOne(one, view)).join('\n')
  return error instanceof PreflightErrors ? `${renderPreflight(error.rows, view.style, view.columns)}\n${blocks}` : blocks
}

function renderOne(error: HactlError, { columns, verbose, style }: ErrorView): string {
  const head = printable(`${error.server === undefined ? '' : `${error.server}: `}${error.message}`)
  const code = `[${error.code}]`
  const room = Math.max(40, columns)
  const lines = head.split('\n').flatMap(line => wrap(line, room))
  const last = lines.pop() ?? ''
  // The code is in a column of its own where the line has room for it, else on the next line.
  const column = Math.max(last.length + 1, Math.min(CODE_COLUMN, room - code.length))
  const end = column + code.length <= room ? [' '.repeat(column - last.length), style.dim(code)] : ['\n', style.dim(code)]
  const strong = (line: string) => style.bold(style.red(line))
  const shown = [...lines.map(strong), strong(last) + end.join('')]
  const part = (label: string, text: string) => {
    for (const [i, line] of wrap(printable(text), room - 8).entries()) shown.push(`  ${i === 0 ? label.padEnd(4) : '    '}  ${line}`)
  }
  for (const [i, why] of error.why.entries()) part(i === 0 ? 'why' : '', why)
  if (error.fix !== undefined) part('fix', error.fix)
  if (verbose) for (const line of causes(error)) shown.push(style.dim(`  ${line}`))
  return `${shown.join('\n')}\n`
}

const MAX_CAUSES = 10

/** The causes of an error, outermost first; for a fault of hactl itself with its stack. */
function causes(error: HactlError): string[] {
  const lines: string[] = []
  let cause: unknown = error.cause
  for (let depth = 0; cause !== undefined && cause !== null && depth < MAX_CAUSES; depth++) {
    const text = cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : inspect(cause)
    for (const [i, line] of printable(text).split('\n').entries()) lines.push(`${i === 0 ? 'cause ' : '      '}${line}`)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

/** An error as the last line of --json has it. `worst`: which of several decides the exit status. */
export function errorResult(error: HactlError, worst: HactlError): Record<string, unknown> {
  const all = error instanceof HactlErrors ? error.errors : [error]
  const named = all.filter(one => one.server !== undefined)
  const unnamed = all.filter(one => one.server === undefined)
  return {
    code: worst.code,
    what: worst.message,
    why: worst.why,
    ...(worst.fix === undefined ? {} : { fix: worst.fix }),
    ...(worst.server === undefined ? {} : { server: worst.server }),
    servers: named.map(one => ({ name: one.server, code: one.code, what: one.message, why: one.why, fix: one.fix })),
    ...(error instanceof PreflightErrors ? { checks: error.rows } : {}),
    ...(unnamed.length > 0 && all.length > 1
      ? { errors: all.map(one => ({ server: one.server, code: one.code, what: one.message, why: one.why, fix: one.fix })) }
      : {}),
  }
}
