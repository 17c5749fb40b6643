import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { observeAndTell } from '../../../src/engine/operations/look.ts'
import { PROBE_REQUEST } from '../../support/probe-request.ts'
import { manualClock } from '../../support/clock.ts'
import { fakeSession } from '../../support/remote.ts'

const HOLDER = readFileSync(new URL('../../../fixtures/probes/fast-holder.txt', import.meta.url), 'utf8')

/** How far the server's clock is from ours, where it answers like this. */
async function clockAheadOf(said: string): Promise<{ readonly isCompared: boolean; readonly aheadMs: number | undefined }> {
  const stdout = HOLDER.replace(/^clock .*$/m, `clock ${said}`)
  if (stdout === HOLDER) throw new Error('the recording has no clock')
  const clock = manualClock()
  const session = fakeSession('srv-1', [{ when: /./, reply: () => ({ stdout }) }])
  const node = await observeAndTell(session, PROBE_REQUEST, {
    ports: { clock, signal: new AbortController().signal },
    onEvent: () => undefined,
  })
  return { isCompared: 'clockAheadMs' in node, aheadMs: node.clockAheadMs === undefined ? undefined : node.clockAheadMs + clock.now() }
}

test("a server's clock is compared with ours to the millisecond", async () => {
  expect(await clockAheadOf('1795774878 012833622')).toEqual({ isCompared: true, aheadMs: 1_795_774_878_012 })
})

test.for(['1795774878012833622', '1795774878%3N', `${'9'.repeat(30)} 0`, '-5 0', '1e400 0', ''])(
  'a clock that says %j is not compared: that is no fault of the server',
  async said => {
    expect(await clockAheadOf(said)).toEqual({ isCompared: false, aheadMs: undefined })
  },
)
