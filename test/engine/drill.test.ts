import { describe, expect, test } from 'vitest'
import { judgeDrill } from '../../src/domain/failover/judge.ts'
import { brokenOffVerdict } from '../../src/domain/failover/unjudged.ts'
import { longLived } from '../../src/engine/connection-keeper.ts'
import { runDrill } from '../../src/engine/drill.ts'
import { UNDO_DEADLINE_MS, withStop } from '../../src/engine/limits.ts'
import { HactlError } from '../../src/errors.ts'
import { type DrillWorld, drillWorld, type Step } from '../support/drill-world.ts'

/** Changes the world when a step reaches srv-1 for the first time. */
function onFirst(world: DrillWorld, step: Step, change: () => unknown): void {
  let isFirst = true
  world.before = (seen, server) => {
    if (seen === step && server === 'srv-1' && isFirst) {
      isFirst = false
      change()
    }
    return undefined
  }
}

async function faultOf(world: DrillWorld): Promise<unknown> {
  return world.clock.settle(
    runDrill(world.run).then(
      () => undefined,
      (error: unknown) => error,
    ),
  )
}

test('the timer is armed before the disturbance and removed after the undo', async () => {
  const world = drillWorld()
  await world.clock.settle(runDrill(world.run))
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
})

test('its own long-lived connections end once the move is judged, so that a service that waits for them stops', async () => {
  const world = drillWorld()
  const { clock } = world
  let open = 0
  world.untilStopped = async () => {
    while (open > 0) await clock.sleep(50)
  }
  const target = { address: '198.51.100.200', port: 80, kind: 'http', path: '/', timeoutMs: 1000 } as const
  const connections = longLived(target, async (_, { stop, onOpen }) => {
    onOpen()
    open++
    await clock.sleep(600_000, stop).catch(() => undefined)
    open--
    return { kind: 'stopped' }
  })
  const outcome = await clock.settle(runDrill({ ...world.run, longLived: connections }))
  const verdict = judgeDrill({ ...world.about, keepsConnections: true }, outcome)
  // Opened before the disturbance, and again for the way back.
  expect(verdict).toMatchObject({ verdict: 'passed', connections: 18, connectionsCut: 0, connectionsPromised: true })
  const undoneMs = outcome.samples.find(sample => sample.kind === 'mark' && sample.mark === 'undone')
  const again = outcome.samples.filter(sample => sample.kind === 'connection' && sample.event === 'opened').at(-1)
  expect(again?.kind === 'connection' && undoneMs?.kind === 'mark' && again.atMs <= undoneMs.atMs).toBe(true)
  expect(open).toBe(0)
})

test('the verdict says who took over, for how long nobody answered, and that everything is as before', async () => {
  const world = drillWorld()
  const outcome = await world.clock.settle(runDrill(world.run))
  const verdict = judgeDrill(world.about, outcome)
  expect(verdict).toMatchObject({ verdict: 'passed', from: 'srv-1', to: 'srv-2', failback: 'srv-1', failbackOutageMs: 0, restored: true })
  expect(verdict.outageMs).toBeGreaterThanOrEqual(6500)
  expect(verdict.outageMs).toBeLessThan(6600)
  expect(verdict.probes / ((world.clock.monotonic() - 1_000_000) / 1000)).toBeGreaterThan(50)
})

test('a drill is undone as soon as the takeover has settled, and ends when the address has returned', async () => {
  const world = drillWorld()
  await world.clock.settle(runDrill(world.run))
  expect(world.clock.monotonic() - 1_000_000).toBeLessThan(20_000)
})

test('a takeover that ends by itself within a second, as in a restart, is seen, and nobody asks why none came', async () => {
  const world = drillWorld()
  world.takeoverMs = 200
  onFirst(world, 'disturb', async () => {
    await world.clock.sleep(800)
    world.haproxyRuns = true
  })
  const outcome = await world.clock.settle(runDrill({ ...world.run, diagnose: async () => 'nobody took it' }))
  expect(outcome.diagnosis).toBeUndefined()
  expect(judgeDrill(world.about, outcome)).toMatchObject({ verdict: 'passed', to: 'srv-2', failback: 'srv-1', restored: true })
})

test('a drill of a service whose answers come for longer than a second ends as soon', async () => {
  const world = drillWorld()
  world.answerMs = 1200
  const outcome = await world.clock.settle(runDrill(world.run))
  expect(judgeDrill(world.about, outcome)).toMatchObject({ verdict: 'passed', to: 'srv-2' })
  expect(world.clock.monotonic() - 1_000_000).toBeLessThan(25_000)
  expect(world.events.at(-1)).toMatchObject({ kind: 'drill-sample', probesPerSecond: expect.toSatisfy((rate: number) => rate > 50) })
})

test('every step is reported, with the deadline of the undo on the server', async () => {
  const world = drillWorld()
  await world.clock.settle(runDrill(world.run))
  const told = world.events.filter(event => event.kind !== 'drill-sample')
  expect(told.map(event => event.kind)).toEqual(['drill-armed', 'drill-disturbed', 'drill-undone'])
  expect(told[0]).toMatchObject({ undoAfterMs: 31_000, server: 'srv-1' })
  const samples = world.events.filter(event => event.kind === 'drill-sample')
  expect(samples[0]).toMatchObject({ atMs: undefined, holds: { 'srv-1': true }, outageMs: 0 })
  expect(samples.at(-1)).toMatchObject({ holds: { 'srv-1': true, 'srv-2': false, 'srv-3': false } })
})

test('a drill after which nobody takes over is undone at the limit, while the timer still runs', async () => {
  const world = drillWorld()
  world.takeoverMs = undefined
  let timerWasArmed = false
  onFirst(world, 'undo', () => (timerWasArmed = world.firesMs !== undefined))
  const outcome = await world.clock.settle(runDrill(world.run))
  expect(timerWasArmed).toBe(true)
  expect(judgeDrill(world.about, outcome)).toMatchObject({
    verdict: 'failed',
    to: undefined,
    outageMs: undefined,
    restored: true,
    findings: [{ code: 'E_FAILOVER_NONE' }],
  })
})

test('a service that does not answer before the drill is not disturbed', async () => {
  const world = drillWorld()
  world.haproxyRuns = false
  const fault = await faultOf(world)
  expect(fault).toMatchObject({ code: 'E_UNHEALTHY', message: expect.stringMatching(/ not started: \S+ is not healthy$/) })
  expect(world.log).toEqual([])
})

test('nothing is disturbed where the timer cannot be armed', async () => {
  const world = drillWorld()
  world.before = step => (step === 'arm' ? { code: 1, stderr: 'Failed to start transient timer unit' } : undefined)
  const fault = await faultOf(world)
  expect(fault).toMatchObject({ code: 'E_UNHEALTHY', why: ['Failed to start transient timer unit'] })
  expect(world.log).toEqual(['arm srv-1', 'disarm srv-1'])
})

test('an undo that a busy server does not end in time is tried again after the timer has done it, and all is well', async () => {
  const world = drillWorld()
  world.takeoverMs = undefined
  let attempts = 0
  world.before = async step => {
    if (step !== 'undo' || ++attempts > 1) return undefined
    await world.clock.sleep(withStop(UNDO_DEADLINE_MS, world.run.limits.stopMs))
    throw new HactlError({ code: 'E_COMMAND_TIMEOUT', server: 'srv-1', what: 'start haproxy: not done' })
  }
  const outcome = await world.clock.settle(runDrill(world.run))
  expect(attempts).toBe(2)
  expect(judgeDrill(world.about, outcome)).toMatchObject({ restored: true })
})

describe('an interrupt', () => {
  test.each<{ phase: string; during: Step; log: readonly string[] }>([
    { phase: 'while the timer is armed', during: 'arm', log: ['arm srv-1', 'disarm srv-1'] },
    { phase: 'while it disturbs', during: 'disturb', log: ['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'] },
    { phase: 'while it undoes', during: 'undo', log: ['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'] },
    { phase: 'while the timer is taken away', during: 'disarm', log: ['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'] },
  ])('$phase leaves haproxy running and no timer', async ({ during, log }) => {
    const world = drillWorld()
    onFirst(world, during, () => world.abort.abort('SIGINT'))
    const fault = await faultOf(world)
    expect(fault).toMatchObject({ code: 'E_INTERRUPTED' })
    expect(world.log).toEqual(log)
    expect(world).toMatchObject({ haproxyRuns: true, firesMs: undefined })
  })

  test.each([
    { phase: 'before the timer is armed', afterMs: 500, undone: false },
    { phase: 'while the takeover is awaited', afterMs: 4000, undone: true },
    { phase: 'while the way home is awaited', afterMs: 11_000, undone: true },
  ])('$phase leaves haproxy running and no timer', async ({ afterMs, undone }) => {
    const world = drillWorld()
    const fault = faultOf(world)
    void world.clock.sleep(afterMs).then(() => world.abort.abort('SIGTERM'))
    expect(await fault).toMatchObject({ code: 'E_INTERRUPTED' })
    expect(world.log.includes('undo srv-1')).toBe(undone)
    expect(world).toMatchObject({ haproxyRuns: true, firesMs: undefined })
  })

  test('whose undo fails needs an operator', async () => {
    const world = drillWorld()
    world.before = step => {
      if (step === 'disturb') void world.clock.sleep(1000).then(() => world.abort.abort('SIGINT'))
      return step === 'undo' ? { code: 1, stderr: 'Job for haproxy.service failed' } : undefined
    }
    const fault = await faultOf(world)
    expect(fault).toMatchObject({ code: 'E_UNDO_FAILED', cause: { code: 'E_INTERRUPTED' } })
    const { samples } = world.run
    expect(samples.filter(sample => sample.kind === 'mark').map(sample => sample.mark)).toEqual(['armed', 'disturbed', 'undone'])
    expect(samples.some(sample => sample.kind === 'probe' && !sample.ok)).toBe(true)
  })
})

test('a drill with a fault during its samples is undone like any other', async () => {
  const world = drillWorld()
  const broken = new TypeError('a fault of hactl itself')
  const run = {
    ...world.run,
    decide: {
      ...world.run.decide,
      takeoverIsSettled() {
        throw broken
      },
    },
  }
  const fault = await world.clock.settle(runDrill(run).catch((error: unknown) => error))
  expect(fault).toBe(broken)
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
  expect(world.haproxyRuns).toBe(true)
})

test('a disturbance that ends with an error is undone, because it may have done a part', async () => {
  const world = drillWorld()
  world.before = step => (step === 'disturb' ? { code: 1, stderr: 'Failed to stop haproxy.service' } : undefined)
  expect(await faultOf(world)).toMatchObject({
    code: 'E_COMMAND_FAILED',
    server: 'srv-1',
    why: ['Failed to stop haproxy.service'],
    fix: expect.stringContaining('journalctl -n 50 on srv-1'),
  })
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
})

test('a run whose lock another run took while it slept disturbs nothing', async () => {
  const world = drillWorld()
  world.before = step => (step === 'disturb' ? { code: 97 } : undefined)
  expect(await faultOf(world)).toMatchObject({ code: 'E_LOCKED', server: 'srv-1' })
  expect(world.haproxyRuns).toBe(true)
})

describe('a lost connection', () => {
  test('during the disturbance is opened again for the undo', async () => {
    const world = drillWorld()
    onFirst(world, 'disturb', () => world.sessions.get('srv-1')?.lose())
    expect(await faultOf(world)).toMatchObject({ code: 'E_CONNECTION_LOST' })
    expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
    expect(world).toMatchObject({ haproxyRuns: true, firesMs: undefined })
  })

  test('during the wait for the takeover does not end the drill', async () => {
    const world = drillWorld()
    const outcome = runDrill(world.run)
    void world.clock.sleep(3000).then(() => world.sessions.get('srv-1')?.lose())
    const verdict = judgeDrill(world.about, await world.clock.settle(outcome))
    expect(verdict).toMatchObject({ verdict: 'passed', restored: true })
    expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
  })

  test('during the undo makes it run again', async () => {
    const world = drillWorld()
    onFirst(world, 'undo', () => world.sessions.get('srv-1')?.lose())
    await world.clock.settle(runDrill(world.run))
    expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'undo srv-1', 'disarm srv-1'])
  })

  test('that lasts longer than the timer makes the drill wait for the undo by the server, and check it', async () => {
    const world = drillWorld()
    let healedMs: number | undefined
    onFirst(world, 'disturb', () => {
      void world.clock.sleep(1000).then(() => {
        world.isReachable = false
        world.sessions.get('srv-1')?.lose()
      })
      void world.clock.sleep(35_000).then(() => {
        world.isReachable = true
        healedMs = world.haproxyRuns ? world.clock.monotonic() : undefined
      })
    })
    await world.clock.settle(runDrill(world.run))
    expect(healedMs).toBeDefined()
    const warnings = world.events.filter(event => event.kind === 'warning').map(event => event.text)
    expect(warnings[0]).toMatch(/srv-1 cannot be reached; its own timer will start haproxy in \d+ s/)
  })

  test('that does not come back names the server and the command to run', async () => {
    const world = drillWorld()
    onFirst(world, 'disturb', () => {
      void world.clock.sleep(1000).then(() => {
        world.isReachable = false
        world.sessions.get('srv-1')?.lose()
      })
    })
    const fault = await faultOf(world)
    expect(fault).toMatchObject({ code: 'E_UNDO_FAILED', server: 'srv-1' })
    expect(fault instanceof HactlError && fault.fix).toContain('systemctl start haproxy')
    expect(world.clock.monotonic() - 1_000_000).toBeLessThan(80_000 + world.run.limits.stopMs)
  })
})

test('the timer stays while the undo is not confirmed', async () => {
  const world = drillWorld()
  let refused = 0
  world.before = step => {
    if (step !== 'undo' || refused === 2) return undefined
    refused++
    return { code: 1, stderr: 'haproxy.service: start request repeated too quickly' }
  }
  await world.clock.settle(runDrill(world.run))
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'undo srv-1', 'undo srv-1', 'disarm srv-1'])
})

test('an undo that the server always refuses leaves the timer in place, and is reported at once', async () => {
  const world = drillWorld()
  let refusedMs: number | undefined
  world.before = step => {
    if (step !== 'undo') return undefined
    refusedMs = world.clock.monotonic()
    return { code: 1, stderr: 'Job for haproxy.service failed' }
  }
  const fault = await faultOf(world)
  const why = ['Job for haproxy.service failed', expect.stringMatching(/^the server's own timer tries once more in \d+ s$/)]
  expect(fault).toMatchObject({ code: 'E_UNDO_FAILED', why })
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'undo srv-1', 'undo srv-1'])
  expect(world.clock.monotonic()).toBe(refusedMs)
})

test('a timer that cannot be removed is reported, and does not change the verdict on the service', async () => {
  const world = drillWorld()
  world.before = step => {
    if (step === 'disarm') throw new HactlError({ code: 'E_COMMAND_FAILED', what: 'no' })
    return undefined
  }
  const outcome = await world.clock.settle(runDrill(world.run))
  expect(world.events.filter(event => event.kind === 'warning')).toMatchObject([{ server: 'srv-1' }])
  expect(judgeDrill(world.about, outcome).reasons).toEqual(['srv-1: left over from the drill: systemctl stop hactl-undo-abcd.timer'])
})

describe('several servers, one after the other', () => {
  const cascade = (world: DrillWorld) => ({
    ...world.run,
    rounds: 2,
    decide: { ...world.run.decide, nextToDisturb: () => 'srv-2' },
  })

  test('are armed and disturbed in turn, and undone together', async () => {
    const world = drillWorld()
    await world.clock.settle(runDrill(cascade(world)))
    expect(world.log.slice(0, 4)).toEqual(['arm srv-1', 'disturb srv-1', 'arm srv-2', 'disturb srv-2'])
    expect(world.log.slice(4).toSorted()).toEqual(['disarm srv-1', 'disarm srv-2', 'undo srv-1', 'undo srv-2'])
  })

  test('of which the second cannot be armed undo the first, and do not report that nothing was disturbed', async () => {
    const world = drillWorld()
    world.before = (step, server) => (step === 'arm' && server === 'srv-2' ? { code: 1, stderr: 'no' } : undefined)
    const fault = await world.clock.settle(runDrill(cascade(world)).catch((error: unknown) => error))
    expect(fault).toMatchObject({ code: 'E_COMMAND_FAILED', fix: expect.any(String) })
    expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'arm srv-2', 'disarm srv-2', 'undo srv-1', 'disarm srv-1'])
    expect(world).toMatchObject({ haproxyRuns: true, firesMs: undefined })
  })

  test('that cannot be undone are all named, each with the command to run', async () => {
    const world = drillWorld()
    world.before = step => (step === 'undo' ? { code: 1, stderr: 'Job for haproxy.service failed' } : undefined)
    const fault = await world.clock.settle(runDrill(cascade(world)).catch((error: unknown) => error))
    expect(fault).toMatchObject({ code: 'E_UNDO_FAILED' })
    const { findings, restored } = brokenOffVerdict(world.about, world.run.samples, fault as HactlError)
    const fixes = ['srv-1', 'srv-2'].map(server => ({ code: 'E_UNDO_FAILED', text: `on ${server}, as root: systemctl start haproxy` }))
    expect(findings).toEqual(expect.arrayContaining(fixes))
    expect(restored).toBe(false)
  })
})

test('a second fault ends the drill at once, with its undo, and is in the verdict', async () => {
  const world = drillWorld()
  const sinceMs = world.clock.monotonic()
  const run = {
    ...world.run,
    decide: {
      ...world.run.decide,
      secondFaults: (_: unknown, nowMs: number) =>
        nowMs - sinceMs > 3000 ? ['haproxy on srv-3 is failed, although it was not disturbed'] : [],
    },
  }
  const outcome = await world.clock.settle(runDrill(run))
  expect(world.log).toEqual(['arm srv-1', 'disturb srv-1', 'undo srv-1', 'disarm srv-1'])
  expect(judgeDrill(world.about, outcome)).toMatchObject({
    verdict: 'failed',
    reasons: ['the drill was stopped: haproxy on srv-3 is failed, although it was not disturbed'],
  })
})

test('a second fault on the way home ends the drill as well', async () => {
  const world = drillWorld()
  const fault = 'haproxy on srv-3 is failed, although it was not disturbed'
  const { samples, decide } = world.run
  const isUndone = () => samples.some(sample => sample.kind === 'mark' && sample.mark === 'restored')
  const own = { failbackIsSettled: () => false, secondFaults: () => (isUndone() ? [fault] : []) }
  const outcome = await world.clock.settle(runDrill({ ...world.run, decide: { ...decide, ...own } }))
  expect(outcome.stopped).toEqual([fault])
})

test('a server that is cut off need not say that the command has ended', async () => {
  const world = drillWorld()
  world.before = step => (step === 'disturb' ? new Promise(() => {}) : undefined)
  const { decide, limits, disturbance } = world.run
  const run = { ...world.run, disturbance: { ...disturbance, severs: true }, decide: { ...decide, takeoverIsSettled: () => true } }
  const { samples } = await world.clock.settle(runDrill(run))
  const [, disturbed, undone] = samples.filter(sample => sample.kind === 'mark')
  expect(undone?.mark).toBe('undone')
  expect((undone?.atMs ?? 0) - (disturbed?.atMs ?? 0)).toBeLessThan(limits.takeoverMs)
})

test('the undo of a server that boots is tried for minutes', async () => {
  const world = drillWorld()
  const sinceMs = world.clock.monotonic()
  world.before = step =>
    step === 'undo' && world.clock.monotonic() - sinceMs < 120_000 ? { code: 1, stderr: 'it has not gone down yet' } : undefined
  const run = { ...world.run, limits: { ...world.run.limits, bootMs: 300_000 } }
  await world.clock.settle(runDrill(run))
  expect(world.haproxyRuns).toBe(true)
  expect(world.log.filter(step => step === 'undo srv-1').length).toBeGreaterThan(30)
})

test('a change that a hook undoes a moment later does not fail the drill', async () => {
  const world = drillWorld()
  let looks = 0
  world.before = (step, server) => {
    if (step !== 'state' || server !== 'srv-3') return undefined
    looks++
    const value = looks === 1 || looks > 3 ? '0' : '-253'
    return { stdout: `unit haproxy active\nunit keepalived active\ntracker /run/hactl/haproxy_offset ${value}\nend\n` }
  }
  const outcome = await world.clock.settle(runDrill(world.run))
  expect(judgeDrill(world.about, outcome).restored).toBe(true)
})
