/** A cluster of three that obeys a drill's commands: haproxy stops and starts, the address follows, the undo timer fires. Time is a ManualClock's. */
import { disturbanceFor } from '../../src/domain/failover/disturbances.ts'
import type { DrillCase } from '../../src/domain/failover/verdict.ts'
import {
  baselineProblems,
  failbackIsSettled,
  moveIsJudged,
  nextToDisturb,
  secondFaults,
  takeoverIsSettled,
} from '../../src/domain/failover/settled.ts'
import { SILENT_AFTER_MS } from '../../src/domain/failover/timeline.ts'
import type { DrillRun } from '../../src/engine/drill-run.ts'
import type { DrillEvent, RemarkEvent } from '../../src/engine/events.ts'
import { createLinks } from '../../src/engine/links.ts'
import { runProber } from '../../src/engine/prober.ts'
import type { CommandResult } from '../../src/ports.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { type FakeSession, fakeSession, type Reply, unreachable } from './remote.ts'

const VIP = '198.51.100.200'
const SERVERS = ['srv-1', 'srv-2', 'srv-3']

/** What reached a server, by purpose: "arm srv-1". */
export type Step = 'state' | 'sample' | 'arm' | 'disturb' | 'undo' | 'disarm'

export interface DrillWorld {
  readonly clock: ManualClock
  readonly abort: AbortController
  /** Steps other than samples and states, in order. */
  readonly log: string[]
  readonly events: (DrillEvent | RemarkEvent)[]
  readonly about: DrillCase
  readonly run: DrillRun
  /** The newest connection to each server. */
  readonly sessions: Map<string, FakeSession>
  haproxyRuns: boolean
  /** When the armed timer will fire. */
  firesMs: number | undefined
  /** Seconds from haproxy's end to the takeover, and from its start to the return of the address; undefined: never. */
  takeoverMs: number | undefined
  isReachable: boolean
  /** From a probe to its good answer. */
  answerMs: number
  /** Called when a step reaches a server, before it takes effect; may throw, lose a connection or answer by itself. */
  before: (step: Step, server: string) => Promise<Partial<CommandResult> | undefined> | Partial<CommandResult> | undefined
  /** What a service that stops waits for: its command ends after it. */
  untilStopped: () => Promise<void>
}

export function drillWorld(): DrillWorld {
  const clock = manualClock()
  const abort = new AbortController()
  const log: string[] = []
  const events: (DrillEvent | RemarkEvent)[] = []
  const sessions = new Map<string, FakeSession>()
  const about: DrillCase = {
    drill: 'haproxy-stop',
    vip: VIP,
    from: 'srv-1',
    predicted: 'srv-2',
    expect: { taker: 'next', holders: 1, event: 'haproxy-stop' },
    maxOutageMs: 8400,
    goesHome: true,
    servers: SERVERS,
  }
  let changedMs = Number.NEGATIVE_INFINITY
  const setRunning = (runs: boolean) => {
    if (runs !== world.haproxyRuns) changedMs = clock.monotonic()
    world.haproxyRuns = runs
  }
  const fire = () => {
    if (world.firesMs === undefined || clock.monotonic() < world.firesMs) return
    world.firesMs = undefined
    setRunning(true)
  }
  const holder = (): string => {
    fire()
    if (world.takeoverMs === undefined || changedMs === Number.NEGATIVE_INFINITY) return 'srv-1'
    const isOver = clock.monotonic() - changedMs >= world.takeoverMs
    return world.haproxyRuns === isOver ? 'srv-1' : 'srv-2'
  }
  const open = (server: string): FakeSession => {
    const does = (step: Step, effect: () => Partial<CommandResult> | undefined): Reply['reply'] => {
      return async () => {
        if (step !== 'state') log.push(`${step} ${server}`)
        const answer = await world.before(step, server)
        return answer ?? effect()
      }
    }
    const state = () => {
      fire()
      const units = `unit haproxy ${server === 'srv-1' && !world.haproxyRuns ? 'inactive' : 'active'}\nunit keepalived active\n`
      const address = holder() === server ? `address inet ${VIP}\n` : ''
      const residue = server === 'srv-1' && world.firesMs !== undefined ? 'residue hactl-undo-abcd.timer\n' : ''
      return { stdout: `${units}${address}${residue}end\n` }
    }
    const session = fakeSession(server, [
      {
        when: /^sample /,
        async reply({ emit, gone }) {
          await world.before('sample', server)
          while (!gone.aborted) {
            const runs = server !== 'srv-1' || world.haproxyRuns
            const up = (clock.monotonic() / 1000).toFixed(2)
            const holds = holder() === server ? VIP : ''
            emit(`hactl up=${up} holds=${holds} unit:haproxy=${runs ? 'active' : 'inactive'} unit:keepalived=active`)
            await clock.sleep(110, gone).catch(() => undefined)
          }
          return {}
        },
      },
      { when: /^drill_state$/, reply: does('state', state) },
      {
        when: /^arm_undo 'hactl-undo-abcd\d?' \d+ '/,
        reply: does('arm', () => {
          world.firesMs = clock.monotonic() + world.run.limits.undoAfterMs
          return undefined
        }),
      },
      {
        // Not without the lock, and not where the undo has run already.
        when: /^lock_guard 'lock1'\nstill_armed 'hactl-undo-abcd\d?'\n\/bin\/sh -c 'systemctl stop --no-block haproxy\.service'$/,
        async reply(call) {
          const answer = await does('disturb', () => {
            setRunning(false)
            return undefined
          })(call)
          await world.untilStopped()
          return answer
        },
      },
      {
        when: /^\/bin\/sh -c 'start_anew .*haproxy.*'\n\/bin\/sh -c 'runs .*haproxy.*'$/,
        reply: does('undo', () => {
          setRunning(true)
          return undefined
        }),
      },
      {
        when: /^systemctl stop 'hactl-undo-abcd\d?\.timer'$/,
        reply: does('disarm', () => {
          world.firesMs = undefined
          return undefined
        }),
      },
    ])
    sessions.set(server, session)
    return session
  }
  const disturbance = disturbanceFor('stop-haproxy', { interface: 'eth0', vip: VIP })
  if (disturbance === undefined) throw new Error('there is no disturbance stop-haproxy')
  const world: DrillWorld = {
    clock,
    abort,
    log,
    events,
    about,
    sessions,
    haproxyRuns: true,
    firesMs: undefined,
    takeoverMs: 6500,
    isReachable: true,
    answerMs: 2,
    before: () => undefined,
    untilStopped: async () => {},
    run: {
      id: 'abcd',
      lockId: 'lock1',
      drill: 'haproxy-stop',
      disturbance,
      server: 'srv-1',
      rounds: 1,
      vip: VIP,
      look: { vips: [VIP], units: ['haproxy', 'keepalived'], trackers: [], files: [] },
      limits: { takeoverMs: 16_000, failbackMs: 25_000, undoAfterMs: 31_000, bootMs: 0, stopMs: 20_000 },
      decide: {
        silentAfterMs: SILENT_AFTER_MS,
        baselineProblems: (samples, nowMs) => baselineProblems(about, samples, nowMs),
        takeoverIsSettled: (samples, nowMs) => takeoverIsSettled(about, samples, nowMs),
        moveIsJudged: (samples, nowMs) => moveIsJudged(about, samples, nowMs),
        failbackIsSettled: (samples, nowMs) => failbackIsSettled(about, samples, nowMs),
        nextToDisturb: (samples, nowMs) => nextToDisturb(about, samples, nowMs),
        secondFaults: (samples, nowMs) => secondFaults(samples, about.servers, nowMs, 1),
        outageSoFar: () => 0,
      },
      samples: [],
      links: createLinks(SERVERS.map(open), async (server, signal) => {
        await clock.sleep(50, signal)
        if (!world.isReachable) throw unreachable(server)
        return open(server)
      }),
      sendProbes: ({ stop, boundMs, onSample }) =>
        runProber({
          target: { address: VIP, port: 80, kind: 'http', path: '/', timeoutMs: 1000 },
          clock,
          stop,
          boundMs,
          onSample,
          async probe() {
            const at = holder()
            const isRefused = at === 'srv-1' && !world.haproxyRuns
            const tookMs = isRefused ? 2 : world.answerMs
            await clock.sleep(tookMs)
            return isRefused ? { ok: false, tookMs, error: 'ECONNREFUSED' } : { ok: true, tookMs, status: 200 }
          },
        }),
      clock,
      signal: abort.signal,
      onEvent: event => events.push(event),
    },
  }
  return world
}
