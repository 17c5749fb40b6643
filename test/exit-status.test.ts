import { expect, test } from 'vitest'
import type { ErrorCode } from '../src/errors.ts'
import { statusOfFindings } from '../src/exit-status.ts'

const CASES: readonly (readonly [codes: readonly ErrorCode[], status: number])[] = [
  [[], 0],
  [['E_UNHEALTHY'], 5],
  [['E_UNHEALTHY', 'E_FAILOVER_NONE'], 7],
  [['E_FAILOVER_NONE', 'E_UNDO_FAILED', 'E_UNHEALTHY'], 8],
  [['E_INVENTORY_INVALID'], 3],
]

test.for(CASES)('a report that found %j ends with %i', ([codes, status]) => {
  expect(statusOfFindings(codes)).toBe(status)
})
