import { expect, test } from 'vitest'
import { errorResult, renderError } from '../../../src/cli/view/error.ts'
import { styleFor } from '../../../src/cli/view/style.ts'
import { HactlError, PreflightErrors, type PreflightRow } from '../../../src/errors.ts'

const ROWS: readonly PreflightRow[] = [
  { check: 'clock', server: 'srv-1', verdict: 'passed', found: 'as the others' },
  { check: 'clock', server: 'srv-2', verdict: 'warning', found: 'its clock is 60 s behind the others', fix: 'timedatectl set-ntp true' },
  { check: 'ports', server: 'srv-1', verdict: 'failed', found: 'port 80 is taken by nginx', fix: 'stop it' },
  { check: 'ports', server: 'srv-1', verdict: 'passed', found: 'never shown' },
  { check: 'ports', server: 'srv-2', verdict: 'unknown', found: 'ss is not installed' },
]
const error = new PreflightErrors(
  [new HactlError({ code: 'E_PORT_TAKEN', server: 'srv-1', what: 'port 80 is taken by nginx', why: ['it listens'], fix: 'stop it' })],
  ROWS,
)

test('the table shows the worst answer of each server to each check; doubts follow, then each failure with why and fix', () => {
  expect(renderError(error, { columns: 100, verbose: false, style: styleFor(false) })).toBe(
    [
      'check  srv-1   srv-2',
      'clock  ok      warning',
      'ports  FAILED  -',
      '',
      'srv-2:  its clock is 60 s behind the others (timedatectl set-ntp true)',
      '',
      `${'srv-1: port 80 is taken by nginx'.padEnd(71)}[E_PORT_TAKEN]`,
      '  why   it listens',
      '  fix   stop it',
      '',
    ].join('\n'),
  )
})

test('--json has the whole table besides the error', () => {
  expect(errorResult(error, error.errors[0] ?? error)).toMatchObject({ code: 'E_PORT_TAKEN', server: 'srv-1', checks: ROWS })
})
