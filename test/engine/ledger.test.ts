import { expect, test } from 'vitest'
import { createLedger, keepLedger } from '../../src/engine/ledger.ts'
import { HactlError } from '../../src/errors.ts'
import type { CommandResult, Effect, LedgerEntry } from '../../src/ports.ts'
import { sh } from '../../src/shell/sh.ts'
import { connectionLost, fakeSession } from '../support/remote.ts'

type End = Partial<CommandResult> | (() => never)

/** What the ledger has of a script while it runs and once it has ended. */
async function statesOf(effect: Effect, end: End): Promise<readonly (LedgerEntry['state'] | undefined)[]> {
  const ledger = createLedger()
  let during: LedgerEntry['state'] | undefined
  const session = fakeSession('srv-1', [
    {
      when: /./,
      reply() {
        during = ledger.entries[0]?.state
        return typeof end === 'function' ? end() : end
      },
    },
  ])
  await keepLedger(session, ledger)
    .run(sh`true`, { effect, label: 'do it', deadlineMs: 1000 })
    .catch(() => undefined)
  return [during, ledger.entries[0]?.state]
}

const lost = (): never => {
  throw connectionLost('srv-1')
}
const didNotRun = (): never => {
  throw new HactlError({ code: 'E_CONNECTION_LOST', what: 'the connection was lost', didNotRun: true })
}

test.for<[string, Effect, End, LedgerEntry['state']]>([
  ['a change was made', 'change', {}, 'made'],
  ['a change that ended badly may have been made in part', 'change', { code: 1 }, 'made'],
  ['a change without an answer may have been made', 'change', lost, 'unanswered'],
  ['a change that no shell has read was not made', 'change', didNotRun, 'not made'],
  ['nothing was changed where the lock was lost', 'change', { code: 97 }, 'not made'],
  ['nothing was changed where a file was another', 'change', { code: 98 }, 'not made'],
  ['nothing was changed where another run has the lock', 'change', { code: 96 }, 'not made'],
  ['all or nothing: made', 'all-or-nothing', {}, 'made'],
  ['all or nothing: not made', 'all-or-nothing', { code: 1 }, 'not made'],
  ['all or nothing: no answer', 'all-or-nothing', lost, 'unanswered'],
])('%s; while it runs it is noted already', async ([, effect, end, state]) => {
  expect(await statesOf(effect, end)).toEqual(['unanswered', state])
})

test('a look is not noted', async () => {
  expect(await statesOf('none', lost)).toEqual([undefined, undefined])
})

const entry = (server: string, effect: LedgerEntry['effect'] = 'change') => ({ server, label: 'do it', effect })

test('an undo is no change, and marks earlier changes on its server as put back; the run still counts as having changed it', () => {
  const ledger = createLedger()
  ledger.note(entry('srv-1', 'undo'))('made')
  expect(ledger.hasChanged).toBe(false)
  ledger.note(entry('srv-1'))
  ledger.note(entry('srv-2'))('made')
  ledger.note(entry('srv-1', 'undo'))('made')
  ledger.note(entry('srv-1'))('made')
  expect(ledger.entries.map(({ server, effect, state }) => `${server} ${effect} ${state}`)).toEqual([
    'srv-1 undo put back',
    'srv-1 change put back',
    'srv-2 change made',
    'srv-1 undo made',
    'srv-1 change made',
  ])
  expect(ledger.hasChanged).toBe(true)
})

test('what was put back stays so when its own script ends after the undo', () => {
  const ledger = createLedger()
  const ended = ledger.note(entry('srv-1'))
  ledger.note(entry('srv-1', 'undo'))('made')
  ended('made')
  expect(ledger.entries.map(({ state }) => state)).toEqual(['put back', 'made'])
})

test('an undo that fails puts nothing back', () => {
  const ledger = createLedger()
  ledger.note(entry('srv-1'))('made')
  ledger.note(entry('srv-1', 'undo'))('not made')
  expect(ledger.entries.map(({ state }) => state)).toEqual(['made', 'not made'])
})

test('what was certainly not made is no change', () => {
  const ledger = createLedger()
  ledger.note(entry('srv-1'))('not made')
  expect(ledger.hasChanged).toBe(false)
})
