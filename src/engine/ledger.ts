/** Whether a run changed anything, and where: every session notes each script that changes its server before it sends it. */
import { HactlError } from '../errors.ts'
import type { Ledger, LedgerEntry, Session } from '../ports.ts'
import { LOCK_LOST_STATUS } from './apply/report.ts'
import { FILE_CHANGED_STATUS } from './apply/switch.ts'
import { BUSY_STATUS } from './lock.ts'

/** A guard ended the script before it did anything. */
const GUARDED: readonly number[] = [BUSY_STATUS, LOCK_LOST_STATUS, FILE_CHANGED_STATUS]

export function createLedger(): Ledger {
  const entries: { -readonly [K in keyof LedgerEntry]: LedgerEntry[K] }[] = []
  return {
    entries,
    get hasChanged() {
      return entries.some(({ effect, state }) => effect !== 'undo' && state !== 'not made')
    },
    note(sent) {
      const entry = { ...sent, state: 'unanswered' as LedgerEntry['state'] }
      const before = entries.filter(({ server }) => server === sent.server)
      entries.push(entry)
      return state => {
        // An undo may have succeeded before the script that it undoes has ended.
        if (state === 'not made' || entry.state === 'unanswered') entry.state = state
        if (entry.effect !== 'undo' || state === 'not made') return
        for (const earlier of before) if (earlier.state !== 'not made') earlier.state = 'put back'
      }
    },
  }
}

/** The same session, which notes in the ledger what its scripts change. */
export function keepLedger(session: Session, ledger: Ledger): Session {
  return {
    ...session,
    async run(script, options) {
      const { effect, label } = options
      if (effect === 'none') return session.run(script, options)
      const tell = ledger.note({ server: session.server, label, effect })
      try {
        const result = await session.run(script, options)
        const isMade = effect === 'change' ? !GUARDED.includes(result.code) : result.code === 0
        tell(isMade ? 'made' : 'not made')
        return result
      } catch (error) {
        if (error instanceof HactlError && error.didNotRun) tell('not made')
        throw error
      }
    },
  }
}
