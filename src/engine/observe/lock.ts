/** The lock, as its holder wrote it. */
import type { LockInfo } from '../../state/lock.ts'
import { parseWhole } from './said.ts'
import { linesOf, splitOnce } from './sections.ts'

/** Some thirty thousand years. */
const LONGEST_SECONDS = 999_999_999_999

/** A lock of unknown age counts as a living run's. */
export function parseLock(text: string): LockInfo | undefined {
  const lines = linesOf(text)
  if (lines.length === 0) return undefined
  const value = new Map(lines.map(line => splitOnce(line, ' ')))
  return {
    id: value.get('id') ?? '',
    owner: value.get('owner') ?? 'somebody',
    reason: value.get('reason') ?? 'unknown',
    ageSeconds: parseWhole(value.get('age'), -LONGEST_SECONDS, LONGEST_SECONDS) ?? 0,
  }
}
