/** Whether anything was changed, and where: every session notes each script that changes its server, the moment it is sent. */
import { HactlError } from '../errors.ts'
import type { Ledger, LedgerEntry, Session } from '../ports.ts'
import { LOCK_LOST_STATUS } from './apply/report.ts'
import { FILE_CHANGED_STATUS } from './apply/switch.ts'
import { BUSY_STATUS } from './lock.ts'

/** A guard ended the script before it did anything. */
const GUARDED: readonly number[] = [BUSY_STATUS, LOCK_LOST_STATUS, FILE_CHANGED_STATUS]

export function createLedger(): Ledger {
  const entries: LedgerEntry[] = []
  return {
    entries,
    note(server, change) {
      const sent: LedgerEntry = { server, change, isUnanswered: true }
      entries.push(sent)
      return outcome => {
        if (outcome === 'unanswered') return
        entries.splice(entries.indexOf(sent), 1, ...(outcome === 'made' ? [{ ...sent, isUnanswered: false }] : []))
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
      if (effect === 'none' || effect === 'undo') return session.run(script, options)
      const tell = ledger.note(session.server, label)
      try {
        const result = await session.run(script, options)
        const isMade = effect === 'all-or-nothing' ? result.code === 0 : !GUARDED.includes(result.code)
        tell(isMade ? 'made' : 'not made')
        return result
      } catch (error) {
        tell(error instanceof HactlError && error.didNotRun ? 'not made' : 'unanswered')
        throw error
      }
    },
  }
}
