import { expect, test } from 'vitest'
import { createLedger, keepLedger } from '../../src/engine/ledger.ts'
import { HactlError } from '../../src/errors.ts'
import type { CommandResult, Effect, LedgerEntry } from '../../src/ports.ts'
import { sh } from '../../src/engine/ssh/sh.ts'
import { connectionLost, fakeSession } from '../support/remote.ts'

type End = Partial<CommandResult> | (() => never)

/** What the ledger has while the script runs and once it has ended. */
async function entriesOf(
  effect: Effect,
  end: End,
): Promise<{ readonly during: readonly LedgerEntry[]; readonly after: readonly LedgerEntry[] }> {
  const ledger = createLedger()
  let during: readonly LedgerEntry[] = []
  const session = fakeSession('srv-1', [
    {
      when: /./,
      reply() {
        during = [...ledger.entries]
        return typeof end === 'function' ? end() : end
      },
    },
  ])
  await keepLedger(session, ledger)
    .run(sh`true`, { effect, label: 'do it', deadlineMs: 1000 })
    .catch(() => undefined)
  return { during, after: ledger.entries }
}

const sent = { server: 'srv-1', change: 'do it', isUnanswered: true }
const made = { ...sent, isUnanswered: false }
const lost = (): never => {
  throw connectionLost('srv-1')
}
const didNotRun = (): never => {
  throw new HactlError({ code: 'E_CONNECTION_LOST', what: 'the connection was lost', didNotRun: true })
}

test.for<[string, Effect, End, readonly LedgerEntry[], readonly LedgerEntry[]]>([
  ['a change is noted before its script has ended', 'change', {}, [sent], [made]],
  ['a change that ended badly may have been made in part', 'change', { code: 1 }, [sent], [made]],
  ['a change without an answer may have been made', 'change', lost, [sent], [sent]],
  ['a change that no shell has read was not made', 'change', didNotRun, [sent], []],
  ['nothing was changed where the lock was lost', 'change', { code: 97 }, [sent], []],
  ['nothing was changed where a file was another', 'change', { code: 98 }, [sent], []],
  ['nothing was changed where another run has the lock', 'change', { code: 96 }, [sent], []],
  ['all or nothing: made', 'all-or-nothing', {}, [sent], [made]],
  ['all or nothing: not made', 'all-or-nothing', { code: 1 }, [sent], []],
  ['all or nothing: no answer', 'all-or-nothing', lost, [sent], [sent]],
  ['an undo changes nothing of its own', 'undo', lost, [], []],
  ['a look changes nothing', 'none', lost, [], []],
])('%s', async ([, effect, end, during, after]) => {
  expect(await entriesOf(effect, end)).toEqual({ during, after })
})

test('the same change of several servers is struck out for the one that it was not made on', () => {
  const ledger = createLedger()
  const [first, second] = ['srv-1', 'srv-2'].map(server => ledger.note(server, 'do it'))
  first?.('not made')
  second?.('made')
  expect(ledger.entries).toEqual([{ ...made, server: 'srv-2' }])
})
