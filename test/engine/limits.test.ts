/** What must be true between hactl's limits, so that a server that is slow, busy or far away is no fault of theirs. */
import { describe, expect, test } from 'vitest'
import { DISTURBANCES, disturbanceFor } from '../../src/domain/failover/disturbances.ts'
import { drillLimits } from '../../src/domain/failover/drill.ts'
import { alone } from '../../src/engine/apply/switch.ts'
import {
  AFTER_TIMER_MS,
  ALONE_WITHIN_SECONDS,
  ANSWER_SECONDS,
  BASELINE_LIMIT_MS,
  BEAT_MS,
  CLOCK_SET_BACK_SECONDS,
  drillWatchMs,
  LAST_ANSWER_MS,
  LOCK_DEADLINE_MS,
  LOCK_EXPIRES_SECONDS,
  LOOK_DEADLINE_MS,
  PROBE_LIMIT_MS,
  STOP_GRACE_MS,
  SWITCH_DEADLINE_MS,
  SYSTEMCTL_DEADLINE_MS,
  UNDO_DEADLINE_MS,
  UNDO_RETRY_MS,
  watcherLimit,
  WATCHERS_END_MS,
  withStop,
} from '../../src/engine/limits.ts'
import { patienceFor, TIMEOUT_MS } from '../../src/patience.ts'
import { sourceText } from '../../src/shell/library.ts'

test('one heartbeat may be missed, and the next may take all of its time, before another run takes the lock for a dead one', () => {
  const missedMs = BEAT_MS + STOP_GRACE_MS
  expect(BEAT_MS + missedMs + BEAT_MS).toBeLessThanOrEqual(LOCK_EXPIRES_SECONDS * 1000)
})

test('taking the lock outlives a wait for a heartbeat and one for another script, so that it says itself whose the lock is', () => {
  const mutexSeconds = Number(/flock -w (\d+)/.exec(sourceText('lock-held.sh'))?.[1])
  expect(LOCK_DEADLINE_MS).toBeGreaterThan((CLOCK_SET_BACK_SECONDS + mutexSeconds) * 1000)
})

test('whoever finds a heartbeat in the future waits for longer than from one to the next', () => {
  expect(CLOCK_SET_BACK_SECONDS * 1000).toBeGreaterThan(BEAT_MS)
})

const PATIENCES = [TIMEOUT_MS / 20, TIMEOUT_MS, 1.5 * TIMEOUT_MS, 3 * TIMEOUT_MS, 3_600_000].map(patienceFor)

test('a --timeout up to its default changes no limit, and one above it all of them alike', () => {
  expect(PATIENCES).toEqual([1, 1, 1.5, 3, 180])
})

test('a look at a server outlives every program in it that does not answer', () => {
  const asked = sourceText('probe.sh').match(/timeout (?:-k 1 )?"\$ANSWER_SECONDS"/g) ?? []
  expect(asked.length).toBeGreaterThan(3)
  for (const patience of PATIENCES) {
    const hungMs = asked.length * (Math.ceil(ANSWER_SECONDS * patience) + 1) * 1000
    expect(hungMs).toBeLessThanOrEqual(LOOK_DEADLINE_MS * patience)
  }
})

/** stop_timeout: none, its default, and the longest. */
const STOPS = [0, 20_000, 600_000]

test.each(PATIENCES)(
  'a change waits as many times longer for one that outlived its connection, and still says itself that it waited: %s',
  patience => {
    for (const stopMs of STOPS) {
      const seconds = Number(/ALONE_WITHIN_SECONDS='?(\d+)/.exec(alone({ patience, stopMs }).raw)?.[1])
      expect(seconds).toBeGreaterThanOrEqual(ALONE_WITHIN_SECONDS * patience + stopMs / 1000)
      expect(seconds * 1000).toBeLessThan(withStop(SWITCH_DEADLINE_MS, stopMs) * patience)
    }
  },
)

describe.each(PATIENCES)('a drill at %s times the limits', patience => {
  const drills = [undefined, 0, 500, 8400, 600_000].flatMap(maxOutageMs =>
    [{}, { rounds: 2 }, { rounds: 9 }, { boots: true }, { lastsMs: 13_600 }].flatMap(scope =>
      STOPS.map(stopMs => ({
        rounds: 1,
        ...scope,
        ...drillLimits(maxOutageMs, 20_000, { ...scope, patience, stopMs }),
      })),
    ),
  )

  test('leaves room to arm the undo before what is watched may end it, and never arms one for more than a minute times the patience', () => {
    for (const { rounds, takeoverMs, undoAfterMs } of drills) {
      expect(undoAfterMs - takeoverMs * rounds).toBeGreaterThanOrEqual(SYSTEMCTL_DEADLINE_MS * patience)
      expect(undoAfterMs).toBeLessThanOrEqual(60_000 * patience)
    }
  })

  test('is watched to its end: the baseline, each round, an undo at the last moment, and the way home', () => {
    for (const drill of drills) {
      const { rounds, takeoverMs, undoAfterMs, failbackMs, bootMs, stopMs } = drill
      const lastUndoMs = Math.max(undoAfterMs, bootMs) + (AFTER_TIMER_MS + UNDO_DEADLINE_MS + 2 * stopMs) * patience
      const roundsMs = rounds * (SYSTEMCTL_DEADLINE_MS * patience + takeoverMs)
      expect(drillWatchMs(drill, rounds, patience)).toBeGreaterThanOrEqual(
        BASELINE_LIMIT_MS * patience + roundsMs + lastUndoMs + failbackMs,
      )
    }
  })
})

/** setTimeout waits 1 ms for more than this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

test('what watches the longest drill is stopped after its end, and by a limit that a timer can count, at every patience', () => {
  for (const patience of PATIENCES) {
    const drill = drillLimits(600_000, 20_000, { rounds: 9, lastsMs: 13_600, boots: true, patience, stopMs: 600_000 })
    const boundMs = drillWatchMs(drill, 9, patience)
    const { deadlineMs, hasFixedLimit } = watcherLimit(boundMs, patience)
    const limitMs = deadlineMs * (hasFixedLimit === true ? 1 : patience)
    expect(limitMs).toBeGreaterThan(boundMs)
    expect(limitMs).toBeLessThanOrEqual(LONGEST_TIMER_MS)
  }
})

test('watchers are waited for until the last answer has come, or will not come', () => {
  expect(WATCHERS_END_MS).toBeGreaterThan(PROBE_LIMIT_MS + LAST_ANSWER_MS + PROBE_LIMIT_MS)
})

test('a loop of a drill may last for longer than it takes', () => {
  const loops = DISTURBANCES.flatMap(name => {
    const disturbance = disturbanceFor(name, { interface: 'eth0', vip: '198.51.100.200' })
    const most = /RuntimeMaxSec=(\d+)/.exec(disturbance?.script.raw ?? '')?.[1]
    return most === undefined ? [] : [{ mostMs: Number(most) * 1000, lastsMs: disturbance?.lastsMs ?? Number.POSITIVE_INFINITY }]
  })
  expect(loops.length).toBeGreaterThan(0)
  for (const { mostMs, lastsMs } of loops) expect(mostMs).toBeGreaterThan(2 * lastsMs)
})

test('an undo that is cut off while the timer does its work is followed by another attempt', () => {
  for (const patience of PATIENCES) {
    for (const stopMs of STOPS) {
      const attemptMs = withStop(UNDO_DEADLINE_MS, stopMs) * patience + STOP_GRACE_MS + UNDO_RETRY_MS
      expect(withStop(AFTER_TIMER_MS, stopMs) * patience).toBeGreaterThanOrEqual(attemptMs)
    }
  }
})

test('a server that reboots may take as long as without open connections, and wait for them before', () => {
  const limits = (stopMs: number) => drillLimits(500, 20_000, { boots: true, stopMs })
  expect(limits(600_000).bootMs - limits(0).bootMs).toBe(600_000)
})
