import { expect, test } from 'vitest'
import { createLinks } from '../../src/engine/links.ts'
import { type Change, watchUntilUndo, type WatchedWork } from '../../src/engine/watch-until-undo.ts'
import { HactlError } from '../../src/errors.ts'
import { manualClock } from '../support/clock.ts'

/** Work on nothing, with two changes, that logs what the machine has it do. */
function world() {
  const clock = manualClock()
  const abort = new AbortController()
  const log: string[] = []
  /** Called when a step is reached: "make 0"; may throw. */
  const at = new Map<string, () => void>()
  const does = (step: string) => {
    log.push(step)
    at.get(step)?.()
  }
  const changeAt = (index: number): Change | undefined =>
    index > 1
      ? undefined
      : {
          prepare: async () => does(`prepare ${index}`),
          make: async until => {
            does(`make ${index}`)
            return until(1000, () => index === 0)
          },
          undo: async () => does(`undo ${index}`),
        }
  const work: WatchedWork = {
    watch: {
      clock,
      links: createLinks([], () => Promise.reject(new Error('there is no server'))),
      look: { vips: [], units: [], trackers: [] },
      boundMs: 10_000,
      onHolder: () => {},
      others: [
        ({ stop }) =>
          new Promise((resolve, reject) => {
            at.set('watcher fails', () => reject(new Error('a watcher that failed')))
            stop.addEventListener('abort', () => resolve(does('end')))
          }),
      ],
    },
    signal: abort.signal,
    lookEveryMs: 100,
    tell: () => {},
    baseline: { problems: () => [], refusal: { what: 'not started', fix: 'run hactl status' } },
    changeAt,
    isUndone: () => true,
    onUndo: state => does(`undo ${state}`),
    afterwards: async () => does('afterwards'),
  }
  /** What the work ended with; undefined where it ended well. */
  const run = (over: Partial<WatchedWork> = {}) =>
    clock.settle(
      watchUntilUndo({ ...work, ...over }).then(
        () => undefined,
        (error: unknown) => error,
      ),
    )
  return { clock, abort, log, at, run }
}

const fault = new HactlError({ code: 'E_COMMAND_FAILED', what: 'a fault' })
const throws = () => {
  throw fault
}

test('the changes are made one after the other, and undone together at the end', async () => {
  const { log, run } = world()
  expect(await run()).toBeUndefined()
  const undone = ['undo started', 'undo 0', 'undo 1', 'undo done']
  expect(log).toEqual(['prepare 0', 'make 0', 'prepare 1', 'make 1', ...undone, 'afterwards', 'end'])
})

test('a change that has not settled is the last one', async () => {
  const { log, run } = world()
  await run({
    changeAt: index => ({ prepare: async () => {}, make: until => until(1000, () => false), undo: async () => void log.push(`${index}`) }),
  })
  expect(log).toEqual(['undo started', '0', 'undo done', 'afterwards', 'end'])
})

test('a baseline that is not good by its limit changes nothing, and says why', async () => {
  const { log, run } = world()
  const refusal = { server: 'srv-1', what: 'not started', fix: 'run hactl status' }
  const error = await run({ baseline: { problems: () => ['192.0.2.200 does not answer'], refusal } })
  expect(error).toMatchObject({ code: 'E_UNHEALTHY', server: 'srv-1', message: 'not started', why: ['192.0.2.200 does not answer'] })
  expect(log).toEqual(['end'])
})

test('an interrupt in the last moment of the baseline changes nothing and undoes nothing', async () => {
  const { abort, log, run } = world()
  const problems = () => {
    abort.abort('SIGINT')
    return []
  }
  expect(await run({ baseline: { problems, refusal: { what: 'not started' } } })).toMatchObject({ code: 'E_INTERRUPTED' })
  expect(log).toEqual(['end'])
})

test('an interrupt while a change is prepared does not let it start, and undoes what preparing it did', async () => {
  const { abort, at, log, run } = world()
  at.set('prepare 0', () => abort.abort('SIGINT'))
  expect(await run()).toMatchObject({ code: 'E_INTERRUPTED' })
  expect(log).toEqual(['prepare 0', 'undo started', 'undo 0', 'undo done', 'end'])
})

test('a first change that cannot be prepared is not undone', async () => {
  const { at, log, run } = world()
  at.set('prepare 0', throws)
  expect(await run()).toBe(fault)
  expect(log).toEqual(['prepare 0', 'end'])
})

test('a later change that cannot be prepared undoes the ones before it, and its error says that something was changed', async () => {
  const { at, log, run } = world()
  at.set('prepare 1', throws)
  const later = new HactlError({ code: 'E_COMMAND_FAILED', what: 'it could not go on' })
  expect(await run({ faultAfterChange: thrown => (thrown === fault ? later : thrown) })).toBe(later)
  expect(log).toEqual(['prepare 0', 'make 0', 'prepare 1', 'undo started', 'undo 0', 'undo done', 'end'])
})

test('a change that fails is undone, unless its error says that nothing must be', async () => {
  for (const isUndone of [true, false]) {
    const { at, log, run } = world()
    at.set('make 0', throws)
    expect(await run({ isUndone: ended => isUndone || ended?.thrown !== fault })).toBe(fault)
    expect(log).toEqual(['prepare 0', 'make 0', ...(isUndone ? ['undo started', 'undo 0', 'undo done'] : []), 'end'])
  }
})

test('an undo that fails is the error, and keeps no other change from being undone', async () => {
  const { at, log, run } = world()
  const failed = new HactlError({ code: 'E_UNDO_FAILED', what: 'not undone' })
  at.set('make 1', throws)
  at.set('undo 0', () => {
    throw failed
  })
  expect(await run()).toBe(failed)
  expect(log.slice(-4)).toEqual(['undo started', 'undo 0', 'undo 1', 'end'])
})

test('a watcher that fails ends the changes, and they are undone', async () => {
  const { at, log, run } = world()
  at.set('make 0', () => at.get('watcher fails')?.())
  expect(await run()).toMatchObject({ message: 'a watcher that failed' })
  expect(log.slice(0, 5)).toEqual(['prepare 0', 'make 0', 'undo started', 'undo 0', 'undo done'])
})

test('what is seen is told as it is seen, and the last look is said to be the last', async () => {
  const { run } = world()
  const told: boolean[] = []
  const baseline = { problems: () => ['192.0.2.200 does not answer'], refusal: { what: 'not started' } }
  await run({ lookEveryMs: 250, tell: (_, isOver) => void told.push(isOver), baseline })
  expect(told.length).toBeGreaterThan(10)
  expect(told.indexOf(true)).toBe(told.length - 1)
})
