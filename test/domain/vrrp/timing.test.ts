import { describe, expect, test } from 'vitest'
import { detectionMs, masterDownMs, recoveryMs, silentTakeoverMs, skewMs } from '../../../src/domain/vrrp/timing.ts'

describe('the skew', () => {
  test.for([
    [1000, 99, 2, 613.28125],
    [5000, 99, 2, 613.28125],
    [1000, 99, 3, 613.28125],
    [200, 250, 3, 4.6875],
    [200, 1, 3, 199.21875],
    [1000, 254, 2, 7.8125],
    [1000, 255, 2, 3.90625],
  ] as const)('with advert_int %i ms, priority %i and version %i is %f ms', ([advertMs, priority, version, ms]) => {
    expect(skewMs(advertMs, priority, version)).toBe(ms)
  })
})

test('a backup waits for three adverts and its skew', () => {
  expect(masterDownMs(1000, 100, 2)).toBe(3000 + 609.375)
  expect(masterDownMs(200, 250, 3)).toBe(600 + 4.6875)
})

test('a master may have sent its last advert up to one interval before it falls silent', () => {
  const { bestMs, worstMs } = silentTakeoverMs(1000, 99, 2)
  expect(worstMs - bestMs).toBe(1000)
  expect(worstMs).toBe(masterDownMs(1000, 99, 2))
})

test('the check needs "fall" failures in a row, and the failure may begin just after a run', () => {
  const check = { interval: 2, fall: 2, rise: 3, timeout: 2, weight: 5 }
  expect(detectionMs(check, 0)).toEqual({ bestMs: 2000, worstMs: 4000 })
  expect(detectionMs({ ...check, fall: 1 }, 50)).toEqual({ bestMs: 50, worstMs: 2050 })
  expect(recoveryMs(check, 50)).toBe(6050)
})
