import { expect, test } from 'vitest'
import type { EngineEvent } from '../../src/engine/events.ts'
import { createLinks } from '../../src/engine/links.ts'
import { runMove } from '../../src/engine/move.ts'
import { sh } from '../../src/shell/sh.ts'
import { manualClock } from '../support/clock.ts'
import { fakeSession } from '../support/remote.ts'

test('a move whose last look at the server finds something missing did not come about, and is undone', async () => {
  const clock = manualClock()
  const events: EngineEvent[] = []
  const session = fakeSession('srv-1', [{ when: /^echo /, reply: () => ({}) }])
  const outcome = await clock.settle(
    runMove({
      command: 'drain',
      server: 'srv-1',
      addresses: [],
      title: 'the priority of srv-1 is lowered',
      prepare: async () => {},
      change: { title: 'lower the priority of srv-1', script: sh`echo lower` },
      takeBack: { title: 'give srv-1 its priority back', script: sh`echo raise`, byHand: 'echo raise' },
      limitMs: 1000,
      baselineProblems: () => [],
      moveProblems: () => [],
      verify: async () => ['keepalived on srv-1 has priority 254, not 1'],
      links: createLinks([session], async () => session),
      clock,
      signal: new AbortController().signal,
      onEvent: event => events.push(event),
    }),
  )
  expect(outcome.problems).toEqual(['keepalived on srv-1 has priority 254, not 1'])
  expect(session.calls).toEqual(['echo lower', 'echo raise'])
  expect(events.map(event => event.kind)).toEqual(['gate-failed', 'restored'])
})
