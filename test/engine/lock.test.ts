import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { LOCK_EXPIRES_SECONDS } from '../../src/engine/limits.ts'
import { breakLock, lockGuard, withLock } from '../../src/engine/lock.ts'
import { HactlError } from '../../src/errors.ts'
import type { Session } from '../../src/ports.ts'
import { manualClock } from '../support/clock.ts'
import { unlessLacking } from '../support/lacking.ts'
import { type FakeSession, fakeSession, type Reply } from '../support/remote.ts'
import { bareServer, type ShellServer, shellServerLacks } from '../support/shell-server.ts'

const claim = (id: string) => ({ id, owner: 'ops@laptop', reason: 'deploy' })
const TAKE = /^take_lock /
const BEAT = /^renew_lock /
const RELEASE = /^release_lock /

describe('a lock on three servers', () => {
  const granted: Reply = { when: TAKE, reply: () => undefined }
  const rest: readonly Reply[] = [
    { when: BEAT, reply: () => undefined },
    { when: RELEASE, reply: () => undefined },
  ]
  const busy: Reply = {
    when: TAKE,
    reply: () => ({ code: 96, stdout: 'age 7\nid other\nowner eve@desk\nreason rollback\n' }),
  }
  const three = (take: readonly Reply[]): readonly FakeSession[] =>
    take.map((reply, index) => fakeSession(`srv-${index + 1}`, [reply, ...rest]))
  const purposes = (session: FakeSession) =>
    session.calls.map(script => (TAKE.test(script) ? 'take' : RELEASE.test(script) ? 'release' : 'beat'))

  test('is held during the work, has heartbeats, and is released', async () => {
    const clock = manualClock()
    const sessions = three([granted, granted, granted])
    const work = withLock(sessions, claim('a'), clock, () => clock.sleep(20_000))
    await clock.settle(work)
    for (const session of sessions) expect(purposes(session)).toEqual(['take', 'beat', 'beat', 'release'])
  })

  test('has heartbeats often enough to miss two and still be held', async () => {
    const clock = manualClock()
    const sessions = three([granted])
    await clock.settle(withLock(sessions, claim('a'), clock, () => clock.sleep(LOCK_EXPIRES_SECONDS * 1000)))
    expect(purposes(sessions[0] as FakeSession).filter(word => word === 'beat').length).toBeGreaterThanOrEqual(3)
  })

  test('shows a sign of life as often where a slow server takes its time for each', async () => {
    const clock = manualClock()
    const beganMs: number[] = []
    const slow = fakeSession('srv-1', [
      granted,
      {
        when: BEAT,
        async reply() {
          beganMs.push(clock.monotonic() - 1_000_000)
          await clock.sleep(7000)
          return undefined
        },
      },
      { when: RELEASE, reply: () => undefined },
    ])
    await clock.settle(withLock([slow], claim('a'), clock, () => clock.sleep(LOCK_EXPIRES_SECONDS * 1000)))
    expect(beganMs).toEqual([8000, 16_000, 24_000])
  })

  test('shows signs of life on the first server while a slow one still takes it', async () => {
    const clock = manualClock()
    const slow: Reply = {
      when: TAKE,
      async reply() {
        await clock.sleep(20_000)
        return undefined
      },
    }
    const sessions = three([granted, granted, slow])
    await clock.settle(withLock(sessions, claim('a'), clock, () => Promise.resolve()))
    expect(purposes(sessions[0] as FakeSession)).toEqual(['take', 'beat', 'beat', 'release'])
  })

  test('is released when the work fails, with the error of the work', async () => {
    const sessions = three([granted, granted, granted])
    const work = withLock(sessions, claim('a'), manualClock(), () => Promise.reject(new Error('the work failed')))
    await expect(work).rejects.toThrow('the work failed')
    for (const session of sessions) expect(purposes(session)).toEqual(['take', 'release'])
  })

  test('of another run is reported with its owner, before any other server is asked', async () => {
    const sessions = three([busy, granted, granted])
    let hasWorked = false
    const work = withLock(sessions, claim('a'), manualClock(), async () => {
      hasWorked = true
    })
    await expect(work).rejects.toMatchObject({
      code: 'E_LOCKED',
      server: 'srv-1',
      message: expect.stringContaining('eve@desk, rollback'),
      why: [expect.stringContaining('7 s ago')],
    })
    expect(hasWorked).toBe(false)
    expect(sessions.map(session => session.sent.length)).toEqual([2, 0, 0])
  })

  test('is released on all servers when one server refuses it', async () => {
    const sessions = three([granted, granted, busy])
    await expect(withLock(sessions, claim('a'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({ code: 'E_LOCKED' })
    for (const session of sessions) expect(purposes(session)).toEqual(['take', 'release'])
  })

  test('is released where it may have been granted although no answer came', async () => {
    const silent: Reply = {
      when: TAKE,
      reply: () => {
        throw new HactlError({ code: 'E_COMMAND_TIMEOUT', what: 'no answer' })
      },
    }
    const sessions = three([granted, silent, granted])
    await expect(withLock(sessions, claim('a'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_COMMAND_TIMEOUT',
    })
    for (const session of sessions) expect(purposes(session)).toEqual(['take', 'release'])
  })

  test('that cannot be made because the disk is full says so', async () => {
    const full: Reply = { when: TAKE, reply: () => ({ code: 1, stderr: 'mkdir: No space left on device' }) }
    await expect(withLock(three([full]), claim('a'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_UNHEALTHY',
      why: ['mkdir: No space left on device'],
    })
  })

  test('reports no error for a lost connection: the work will report it', async () => {
    const clock = manualClock()
    const sessions = three([granted, granted])
    const work = withLock(sessions, claim('a'), clock, async () => {
      sessions[1]?.lose()
      await clock.sleep(10_000)
      return 'done'
    })
    await expect(clock.settle(work)).resolves.toBe('done')
    expect(purposes(sessions[0] as FakeSession)).toEqual(['take', 'beat', 'release'])
  })
})

// Hundreds of small processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

describe('a lock on one real file system', unlessLacking(shellServerLacks()), () => {
  const folder = mkdtempSync(join(tmpdir(), 'hactl-lock-'))
  let number = 0
  let server: ShellServer
  beforeEach(() => {
    number += 1
    server = bareServer(folder, `srv-${number}`, number)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const age = (seconds: number) => {
    const then = Date.now() / 1000 - seconds
    utimesSync(join(server.root, 'var/lib/hactl/lock/beat'), then, then)
  }
  const guard = (id: string) => server.session.run(lockGuard(id), { effect: 'none', label: 'guard', deadlineMs: 1000 })
  /** Takes the lock and never gives it back, as a run that was killed. */
  const killedRun = async (id: string) => {
    const once: Session = {
      ...server.session,
      run: async (script, options) =>
        RELEASE.test(script.masked) ? { code: 0, stdout: '', stderr: '', durationMs: 1 } : server.session.run(script, options),
    }
    await withLock([once], claim(id), manualClock(), () => Promise.resolve())
  }

  test('goes to one of several runs that ask at the same moment', async () => {
    const ends = Promise.withResolvers<undefined>()
    let holders = 0
    const refused = new Set<string>()
    const allRefused = Promise.withResolvers<undefined>()
    const runs = ['a', 'b', 'c', 'd'].map(async id => {
      try {
        await withLock([server.session], claim(id), manualClock(), () => {
          holders += 1
          return ends.promise
        })
      } catch (error) {
        if (!(error instanceof HactlError) || error.code !== 'E_LOCKED') throw error
        refused.add(id)
        if (refused.size === 3) allRefused.resolve(undefined)
      }
    })
    await allRefused.promise
    expect(holders).toBe(1)
    ends.resolve(undefined)
    await Promise.all(runs)
    expect(refused.size).toBe(3)
    expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
  })

  test('of a dead run is free once its heartbeat is old, and not before', async () => {
    await killedRun('dead')
    age(LOCK_EXPIRES_SECONDS - 3)
    await expect(withLock([server.session], claim('next'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_LOCKED',
      message: expect.stringContaining('ops@laptop'),
    })
    age(LOCK_EXPIRES_SECONDS + 3)
    await expect(withLock([server.session], claim('next'), manualClock(), () => guard('next'))).resolves.toMatchObject({ code: 0 })
  })

  test('of a dead run is free although the clock was set back since, and one with a living run is not', async () => {
    await killedRun('dead')
    age(-3600)
    await expect(withLock([server.session], claim('next'), manualClock(), () => guard('next'))).resolves.toMatchObject({ code: 0 })
    await killedRun('dead')
    age(-3600)
    expect(await breakLock(server.session, false)).toBe(true)
    await killedRun('alive')
    age(-3600)
    // While the other run waits, the living run sends a heartbeat.
    server.prelude = `sleep() { touch ${join(server.root, 'var/lib/hactl/lock/beat')}; }`
    await expect(withLock([server.session], claim('next'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_LOCKED',
    })
  })

  test('of a living run that sends its heartbeat while another reads its age is not taken over', async () => {
    await killedRun('alive')
    // A clock that goes on by a second after each reading, with a heartbeat in that second.
    const beat = join(server.root, 'var/lib/hactl/lock/beat')
    server.prelude = `date() { set -- "$(stat -c %Y ${beat})"; echo $(($1 + 1)); touch -d "@$(($1 + 2))" ${beat}; }`
    await expect(withLock([server.session], claim('next'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_LOCKED',
      message: expect.stringContaining('ops@laptop'),
    })
    server.prelude = ''
    expect(server.read('/var/lib/hactl/lock/info')).toContain('id alive')
  })

  test('whose owner cannot be written is not taken, because nobody could release it', async () => {
    server.prelude = 'printf() { return 1; }'
    await expect(withLock([server.session], claim('a'), manualClock(), () => Promise.resolve())).rejects.toMatchObject({
      code: 'E_UNHEALTHY',
      fix: expect.stringContaining('disk'),
    })
    server.prelude = ''
    expect(existsSync(join(server.root, 'var/lib/hactl/lock'))).toBe(false)
  })

  test('that was taken over stops the run that slept too long, and that run does not touch the new lock', async () => {
    const nextEnds = Promise.withResolvers<undefined>()
    const nextHolds = Promise.withResolvers<undefined>()
    let next: Promise<unknown> | undefined
    await withLock([server.session], claim('slow'), manualClock(), async () => {
      age(LOCK_EXPIRES_SECONDS + 3)
      next = withLock([server.session], claim('next'), manualClock(), () => {
        nextHolds.resolve(undefined)
        return nextEnds.promise
      })
      await nextHolds.promise
      expect(await guard('slow')).toMatchObject({ code: 97 })
    })
    expect(server.read('/var/lib/hactl/lock/info')).toContain('id next\n')
    nextEnds.resolve(undefined)
    await next
    expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
  })

  test('accepts its holder only, and not an id with the same beginning', async () => {
    await killedRun('abc')
    expect(await guard('abc')).toMatchObject({ code: 0 })
    expect(await guard('ab')).toMatchObject({ code: 97 })
    expect(await guard('.*')).toMatchObject({ code: 97 })
  })

  test('is broken by unlock where its run is dead, or with --force', async () => {
    expect(await breakLock(server.session, false)).toBe(true)
    await killedRun('a')
    expect(await breakLock(server.session, false)).toBe(false)
    expect(server.read('/var/lib/hactl/lock/info')).toContain('id a')
    expect(await breakLock(server.session, true)).toBe(true)
    expect(server.read('/var/lib/hactl/lock/info')).toBeUndefined()
    await killedRun('b')
    age(LOCK_EXPIRES_SECONDS + 3)
    expect(await breakLock(server.session, false)).toBe(true)
  })
})
