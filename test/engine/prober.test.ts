import { expect, test } from 'vitest'
import { PROBE_INTERVAL_MS, runProber } from '../../src/engine/prober.ts'
import type { Clock, ProbeAnswer, ProbeTarget } from '../../src/ports.ts'
import type { ProbeSample } from '../../src/state/drill.ts'
import { manualClock } from '../support/clock.ts'

/** None of these tests lasts as long, save where it says so. */
const boundMs = 60_000

const target: ProbeTarget = { address: '198.51.100.200', port: 80, kind: 'http', path: '/', timeoutMs: 1000 }

/** A prober whose probes are all answered, unless `probe` says otherwise, every 20 ms until it is stopped. */
function probing(
  clock: Clock,
  probe: () => Promise<ProbeAnswer> = async () => ({ ok: true, tookMs: 1 }),
): {
  readonly stop: AbortController
  readonly samples: readonly ProbeSample[]
  readonly run: Promise<number>
} {
  const stop = new AbortController()
  const samples: ProbeSample[] = []
  const onSample = (sample: ProbeSample) => samples.push(sample)
  return { stop, samples, run: runProber({ target, clock, stop: stop.signal, onSample, probe, intervalMs: 20, boundMs }) }
}

test('at least fifty probes a second are sent, whether the last ones were answered or not', async () => {
  const clock = manualClock(0)
  const stop = new AbortController()
  const samples: ProbeSample[] = []
  let pending = 0
  let mostPending = 0
  const run = runProber({
    target,
    clock,
    stop: stop.signal,
    onSample: sample => samples.push(sample),
    async probe() {
      pending++
      mostPending = Math.max(mostPending, pending)
      await clock.sleep(1000)
      pending--
      return { ok: false, tookMs: 1000, error: 'no answer in 1000 ms' }
    },
    boundMs,
  })
  await clock.advance(2000)
  stop.abort()
  const sent = await clock.settle(run)
  expect(sent).toBeGreaterThanOrEqual(100)
  expect(mostPending).toBeGreaterThanOrEqual(50)
  expect(samples).toHaveLength(sent)
})

test('the schedule does not drift when the timer wakes late', async () => {
  const inner = manualClock(0)
  const clock = { ...inner, sleep: (ms: number, signal?: AbortSignal) => inner.sleep(ms + 3, signal) }
  const { stop, samples, run } = probing(clock)
  await inner.advance(1000)
  stop.abort()
  await inner.settle(run)
  expect(samples).toHaveLength(50)
})

test('probes that were missed while the controller was suspended are left out and not sent in one burst', async () => {
  let nowMs = 0
  const inner = manualClock(0)
  const clock = { ...inner, monotonic: () => inner.monotonic() + nowMs }
  const { stop, samples, run } = probing(clock)
  await inner.advance(100)
  const before = samples.length
  nowMs = 10_000
  await inner.advance(20)
  expect(samples.length - before).toBeLessThanOrEqual(12)
  stop.abort()
  await inner.settle(run)
})

test('a probe keeps the time of its sending, and why it failed', async () => {
  const clock = manualClock(5000)
  const samples: ProbeSample[] = []
  await clock.settle(
    runProber({
      target,
      clock,
      stop: new AbortController().signal,
      onSample: sample => samples.push(sample),
      probe: async (): Promise<ProbeAnswer> => {
        await clock.sleep(7)
        return { ok: false, tookMs: 7, error: 'ECONNREFUSED' }
      },
      boundMs: 40,
      intervalMs: 20,
    }),
  )
  expect(samples).toEqual([
    { kind: 'probe', from: 'controller', sentMs: 5000, tookMs: 7, ok: false, error: 'ECONNREFUSED' },
    { kind: 'probe', from: 'controller', sentMs: 5020, tookMs: 7, ok: false, error: 'ECONNREFUSED' },
  ])
})

test('a prober that throws is a failed probe, not the end of probing', async () => {
  const clock = manualClock(0)
  const samples: ProbeSample[] = []
  const sent = await clock.settle(
    runProber({
      target,
      clock,
      stop: new AbortController().signal,
      onSample: sample => samples.push(sample),
      probe: async () => {
        throw new Error('EMFILE')
      },
      boundMs: 3 * PROBE_INTERVAL_MS,
    }),
  )
  expect(sent).toBe(3)
  expect(samples.map(sample => sample.error)).toEqual(['EMFILE', 'EMFILE', 'EMFILE'])
})

test('no probe is sent after the stop', async () => {
  const clock = manualClock(0)
  const stop = new AbortController()
  stop.abort()
  const run = runProber({
    target,
    clock,
    stop: stop.signal,
    onSample: () => undefined,
    probe: async () => ({ ok: true, tookMs: 1 }),
    boundMs,
  })
  expect(await clock.settle(run)).toBe(0)
})

test.each([
  { answers: 'again', lost: 2, oks: [true, false, false, true] },
  { answers: 'never again', lost: 999, oks: [true, false, ...Array.from({ length: 150 }, () => false)] },
])('where the last probe before the stop was lost, and the address answers $answers: that is known', async ({ lost, oks }) => {
  const clock = manualClock(0)
  let asked = 0
  const { stop, samples, run } = probing(clock, async () => {
    const number = asked++
    if (number === 1) stop.abort()
    return { ok: number === 0 || number > lost, tookMs: 0 }
  })
  expect(await clock.settle(run)).toBe(oks.length)
  expect(samples.map(sample => sample.ok)).toEqual(oks)
})

test('it probes until its bound, also for the quarter of an hour that a server may take to boot', async () => {
  let nowMs = 0
  const clock = {
    ...manualClock(0),
    monotonic: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms
    },
  }
  const sent: number[] = []
  const run = {
    target,
    clock,
    stop: new AbortController().signal,
    onSample: ({ sentMs }: ProbeSample) => sent.push(sentMs),
    probe: async () => ({ ok: true, tookMs: 1 }),
    boundMs: 900_000,
  }
  expect(await runProber(run)).toBe(900_000 / PROBE_INTERVAL_MS)
  expect(sent.at(-1)).toBe(900_000 - PROBE_INTERVAL_MS)
})
