import { expect, test } from 'vitest'
import { runConnectionKeeper } from '../../src/engine/connection-keeper.ts'
import type { ConnectionKeeper } from '../../src/ports.ts'
import type { ConnectionSample } from '../../src/state/drill.ts'
import { manualClock } from '../support/clock.ts'

const target = { address: '198.51.100.200', port: 80, kind: 'http', path: '/', timeoutMs: 1000 } as const

function watched(keep: ConnectionKeeper, forMs: number, clock = manualClock()) {
  const stop = new AbortController()
  const samples: ConnectionSample[] = []
  const run = runConnectionKeeper({ target, keep, clock, stop: stop.signal, onSample: sample => samples.push(sample) })
  void clock.sleep(forMs).then(() => stop.abort())
  return clock.settle(run).then(() => samples)
}

test('a connection that is cut is counted and opened again', async () => {
  const clock = manualClock()
  let calls = 0
  const samples = await watched(
    async (_, { stop, onOpen }) => {
      onOpen()
      if (++calls <= 4) {
        await clock.sleep(1000)
        return 'ECONNRESET'
      }
      await clock.sleep(60_000, stop).catch(() => undefined)
      return undefined
    },
    5000,
    clock,
  )
  expect(samples.filter(sample => sample.event === 'opened')).toHaveLength(8)
  const cut = samples.filter(sample => sample.event === 'cut')
  expect(cut).toHaveLength(4)
  expect(cut[0]).toMatchObject({ kind: 'connection', from: 'controller', error: 'ECONNRESET' })
})

test('a connection that cannot be opened does not count as cut: the probes count those', async () => {
  expect(await watched(() => Promise.reject(new Error('ECONNREFUSED')), 3000)).toEqual([])
})

test('a service that keeps no connection is asked once', async () => {
  let calls = 0
  await watched(async () => {
    calls++
    return 'not-kept'
  }, 3000)
  expect(calls).toBe(4)
})
