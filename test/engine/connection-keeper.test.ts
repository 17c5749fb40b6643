import { expect, test } from 'vitest'
import { longLived } from '../../src/engine/connection-keeper.ts'
import type { ConnectionEnd, ConnectionKeeper, ProbeTarget } from '../../src/ports.ts'
import type { ConnectionSample } from '../../src/state/drill.ts'
import { manualClock } from '../support/clock.ts'

const HTTP = { address: '198.51.100.200', port: 80, kind: 'http', path: '/', timeoutMs: 1000 } as const
const RESET: ConnectionEnd = { kind: 'cut', by: 'RST', why: 'ECONNRESET' }

function held(keep: ConnectionKeeper, forMs: number, target: ProbeTarget = HTTP, clock = manualClock()) {
  const stop = new AbortController()
  const samples: ConnectionSample[] = []
  const connections = longLived(target, keep)
  const run = connections.hold({ clock, stop: stop.signal, onSample: sample => samples.push(sample) })
  void clock.sleep(forMs).then(() => stop.abort())
  return { connections, done: clock.settle(run).then(() => samples) }
}

const untilStopped =
  (clock: ReturnType<typeof manualClock>): ConnectionKeeper =>
  async (_, { stop, onOpen }) => {
    onOpen()
    await clock.sleep(60_000, stop).catch(() => undefined)
    return { kind: 'stopped' }
  }

const count = (samples: readonly ConnectionSample[], event: ConnectionSample['event']) =>
  samples.filter(sample => sample.event === event).length

test('a connection that is cut is counted with who cut it, and opened again', async () => {
  const clock = manualClock()
  let calls = 0
  const keep: ConnectionKeeper = async (target, options) => {
    if (options.use === 'transfer') return { kind: 'not-kept' }
    if (++calls > 8) return untilStopped(clock)(target, options)
    options.onOpen()
    await clock.sleep(1000)
    return RESET
  }
  const samples = await held(keep, 5000, HTTP, clock).done
  expect([count(samples, 'opened'), count(samples, 'cut')]).toEqual([16, 8])
  expect(samples.find(sample => sample.event === 'cut')).toMatchObject({
    from: 'controller',
    use: 'kept-alive',
    by: 'RST',
    error: 'ECONNRESET',
  })
})

test('a connection that the service closes in order is not cut', async () => {
  const clock = manualClock()
  const keep: ConnectionKeeper = async (_, { onOpen }) => {
    onOpen()
    await clock.sleep(1000)
    return { kind: 'closed', why: 'answered with Connection: close' }
  }
  const samples = await held(keep, 1200, HTTP, clock).done
  expect([count(samples, 'opened'), count(samples, 'closed'), count(samples, 'cut')]).toEqual([9, 9, 0])
})

test('over TCP alone the connections are idle, because nothing can be asked', async () => {
  const clock = manualClock()
  const samples = await held(untilStopped(clock), 1000, { ...HTTP, kind: 'tcp' }, clock).done
  expect(samples.map(sample => sample.use)).toEqual(Array.from({ length: 8 }, () => 'idle'))
})

test('none is open between the turns', async () => {
  const clock = manualClock()
  let open = 0
  const keep: ConnectionKeeper = async (target, options) => {
    open++
    const end = await untilStopped(clock)(target, options)
    open--
    return end
  }
  const { connections, done } = held(keep, 10_000, HTTP, clock)
  const seen: number[] = []
  await clock.sleep(1000)
  seen.push(open)
  connections.end()
  await clock.sleep(3000)
  seen.push(open)
  connections.begin()
  await clock.sleep(1)
  seen.push(open)
  const samples = await done
  expect(seen).toEqual([9, 0, 9])
  expect([count(samples, 'opened'), count(samples, 'closed'), count(samples, 'cut')]).toEqual([18, 9, 0])
  expect(open).toBe(0)
})

test('the end of the drill ends the wait for the next turn', async () => {
  const clock = manualClock()
  const { connections, done } = held(untilStopped(clock), 3000, HTTP, clock)
  connections.end()
  expect(count(await done, 'cut')).toBe(0)
})

test('a connection that cannot be opened does not count as cut: the probes count those', async () => {
  expect(await held(() => Promise.reject(new Error('ECONNREFUSED')), 3000).done).toEqual([])
})

test('a service that keeps no connection is asked once', async () => {
  let calls = 0
  await held(async () => {
    calls++
    return { kind: 'not-kept' }
  }, 3000).done
  expect(calls).toBe(9)
})
