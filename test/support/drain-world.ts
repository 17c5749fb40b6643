/** A cluster of three, fast profile, that obeys `drain`, `undrain` and a drill that stops haproxy: the address follows. Time is a ManualClock's. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { drain, type DrainInput } from '../../src/app/drain.ts'
import { undrain } from '../../src/app/undrain.ts'
import type { MoveReport } from '../../src/engine/operations/lower.ts'
import type { MoveAnnouncement } from '../../src/engine/operations/move.ts'
import type { EngineEvent } from '../../src/engine/events.ts'
import { parseProbe } from '../../src/engine/observe/parse.ts'
import type { CommandResult, Ports } from '../../src/ports.ts'
import type { ObservedNode } from '../../src/state/observed.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { type Failure, failureOf } from './failure.ts'
import { withService } from './open-said.ts'
import { PROBE_REQUEST } from './probe-request.ts'
import { type FakeSession, fakeRemote, fakeSession, type Reply, unreachable } from './remote.ts'
import { fakeFiles, fakePorts } from './terminal.ts'

export const VIP = '192.0.2.200'
const DRILL_UNDO_MS = 60_000
const SERVERS = ['srv-1', 'srv-2', 'srv-3'] as const
const BASE: Readonly<Record<string, number>> = { 'srv-1': 254, 'srv-2': 250, 'srv-3': 190 }
/** The answer of a server of the fast profile, with the changing parts to be filled in. */
const ANSWER = readFileSync(join(import.meta.dirname, '../../fixtures/probes/fast-holder.txt'), 'utf8')
const CLASSIC = readFileSync(join(import.meta.dirname, '../../fixtures/probes/classic-holder.txt'), 'utf8')

export const INVENTORY = `
servers:
  - { name: srv-1, host: 192.0.2.11 }
  - { name: srv-2, host: 192.0.2.12 }
  - { name: srv-3, host: 192.0.2.13 }
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 66, virtual_ipaddress: [192.0.2.200/24] }
haproxy:
  frontends:
    - { name: web, bind: [":80"], mode: http, default_backend: app }
  backends:
    - name: app
      servers: [{ name: app-1, address: "192.0.2.111:8080" }]
`

type Write = 'drain -253' | 'drain -254' | 'drain 0' | 'persist' | 'forget'

export interface DrainWorld {
  readonly clock: ManualClock
  readonly abort: AbortController
  readonly events: EngineEvent[]
  /** What was written where, in order: "drain -253 srv-1". */
  readonly writes: string[]
  readonly announced: MoveAnnouncement[]
  /** Servers that go on answering while an address moves away from them. */
  readonly answering: string[]
  readonly sessions: Map<string, FakeSession>
  inventory: string
  /** The value of each server's drain file. */
  readonly drains: Map<string, number>
  /** Servers that a boot drains. */
  readonly persistent: Set<string>
  readonly stopped: Set<string>
  /** Servers whose haproxy a drill has stopped. */
  readonly halted: Set<string>
  /** When the timer of a server will undo its drill. */
  readonly timers: Map<string, number>
  readonly unreachable: Set<string>
  /** What a server says of open connections, a fact a line; undefined: the service is not deployed. */
  openConnections: (server: string) => string | undefined
  profile: 'fast' | 'classic'
  holder: string | undefined
  /** From a written offset to the move; undefined: nobody ever takes over. */
  takeoverMs: number | undefined
  /** How many probes after the move are lost. */
  lostProbes: number
  isReachedByController: boolean
  confirms: boolean
  /** Somebody broke this run's lock meanwhile: a script that asks for it does nothing. */
  isLockBroken: boolean
  /** And another run has it. */
  isLockTaken: boolean
  /** Called when a write reaches a server, before it takes effect; may throw or lose a connection. */
  beforeWrite: (write: Write, server: string) => void
  drain(server: string, over?: Partial<DrainInput>, run?: Ports): Promise<MoveReport>
  /** What a drain failed with. */
  failedDrain(server: string, over?: Partial<DrainInput>): Promise<Failure>
  undrain(server: string, run?: Ports): Promise<MoveReport>
  /** The ports of one run: its own ledger. */
  newRun(): Ports
}

export function drainWorld(): DrainWorld {
  const clock = manualClock()
  let movesMs: number | undefined
  const priority = (server: string) => Math.max(1, (BASE[server] ?? 0) + (world.drains.get(server) ?? 0))
  const canHold = (server: string) => !world.stopped.has(server) && !world.halted.has(server)
  const setHaproxy = (server: string, state: 'runs' | 'halted') => {
    if (world.halted.has(server) === (state === 'halted')) return
    if (state === 'halted') world.halted.add(server)
    else world.halted.delete(server)
    if (world.takeoverMs !== undefined) movesMs = clock.monotonic() + world.takeoverMs
  }
  const fire = () => {
    for (const [server, firesMs] of world.timers) {
      if (clock.monotonic() < firesMs) continue
      world.timers.delete(server)
      setHaproxy(server, 'runs')
    }
  }
  const holder = (): string | undefined => {
    fire()
    if (movesMs === undefined || clock.monotonic() < movesMs) return world.holder
    movesMs = undefined
    const incumbent = world.holder
    const best = SERVERS.filter(canHold).toSorted((a, b) => priority(b) - priority(a))[0]
    if (best !== undefined && (incumbent === undefined || world.halted.has(incumbent) || priority(best) > priority(incumbent)))
      world.holder = best
    return world.holder
  }
  const written = (server: string) => (script: string) => {
    const value = /write_tracker 'drain' (-?\d+)/.exec(script)?.[1]
    if (script.includes("rm -f '/etc/tmpfiles.d/hactl-drain.conf'")) {
      note('forget', server)
      world.persistent.delete(server)
    }
    if (value === undefined) {
      note('persist', server)
      world.persistent.add(server)
      return
    }
    note(`drain ${value}` as Write, server)
    world.drains.set(server, Number(value))
    if (world.takeoverMs !== undefined) movesMs = clock.monotonic() + world.takeoverMs
  }
  const note = (write: Write, server: string) => {
    world.beforeWrite(write, server)
    world.writes.push(`${write} ${server}`)
  }
  const drillReplies = (server: string): readonly Reply[] => [
    {
      when: /^drill_state$/,
      reply: () => {
        const haproxy = world.halted.has(server) ? 'inactive' : 'active'
        const address = holder() === server ? `address inet ${VIP}\n` : ''
        const residue = world.timers.has(server) ? 'residue hactl-undo-x.timer\n' : ''
        return { stdout: `unit haproxy ${haproxy}\nunit keepalived active\n${address}${residue}end\n` }
      },
    },
    { when: /^arm_undo 'hactl-undo-/, reply: done(() => world.timers.set(server, clock.monotonic() + DRILL_UNDO_MS)) },
    { when: /systemctl stop --no-block haproxy\.service'$/, reply: done(() => setHaproxy(server, 'halted')) },
    { when: /^\/bin\/sh -c 'start_anew .*haproxy/, reply: done(() => setHaproxy(server, 'runs')) },
    { when: /^systemctl stop 'hactl-undo-/, reply: done(() => world.timers.delete(server)) },
  ]
  const open = (server: string): FakeSession => {
    const session = fakeSession(server, [
      { when: /^ask_keepalived$/m, reply: () => ({ stdout: answerOf(world, server, holder(), priority(server)) }) },
      {
        when: /^sample /,
        async reply({ emit, gone }) {
          while (!gone.aborted) {
            const haproxy = world.halted.has(server) ? 'inactive' : 'active'
            const holds = holder() === server ? VIP : ''
            emit(`hactl up=${(clock.monotonic() / 1000).toFixed(2)} holds=${holds} unit:haproxy=${haproxy} unit:keepalived=active`)
            await clock.sleep(110, gone).catch(() => undefined)
          }
          return {}
        },
      },
      { when: /^take_lock /, reply: () => ({}) },
      {
        when: /^keep_answering /,
        reply: () => {
          world.answering.push(server)
          return {}
        },
      },
      { when: /^count_connections '192\.0\.2\.200' /, reply: () => ({ stdout: '7\n' }) },
      { when: /^(?:release|renew)_lock /, reply: () => ({}) },
      {
        when: /hactl-drain|write_tracker 'drain'/,
        reply: async ({ call: script }): Promise<Partial<CommandResult>> => {
          await clock.sleep(1)
          const isForAnybody = script.startsWith('lock_guard_unless_taken ')
          if (script.startsWith('lock_guard') && (isForAnybody ? world.isLockTaken : world.isLockBroken)) return { code: 97 }
          written(server)(script)
          return {}
        },
      },
      ...drillReplies(server),
      { when: /^timeout \d+ perl/, reply: () => ({ stdout: 'HTTP 200\n' }) },
      {
        when: /^exec perl/,
        async reply({ emit, gone }) {
          while (!gone.aborted) {
            emit(`probe ${Math.round(clock.monotonic())} 2 ok`)
            await clock.sleep(20, gone).catch(() => undefined)
          }
          return {}
        },
      },
    ])
    world.sessions.set(server, session)
    return session
  }
  let lost = 0
  const ports = (): Ports =>
    fakePorts({
      clock,
      signal: world.abort.signal,
      files: fakeFiles({ '/home/ops/edge/inventory.yml': world.inventory }),
      remote: fakeRemote(
        Object.fromEntries(
          SERVERS.map(server => [
            server,
            () => {
              if (world.unreachable.has(server)) throw unreachable(server)
              return open(server)
            },
          ]),
        ),
      ),
      async probe() {
        const at = holder()
        await clock.sleep(2)
        if (!world.isReachedByController) return { ok: false, tookMs: 2, error: 'EHOSTUNREACH' }
        if (at === undefined) return { ok: false, tookMs: 2, error: 'no answer' }
        if (world.halted.has(at)) return { ok: false, tookMs: 2, error: 'ECONNREFUSED' }
        if (world.drains.size > 0 && holder() !== 'srv-1' && lost < world.lostProbes) {
          lost += 1
          return { ok: false, tookMs: 2, error: 'ECONNRESET' }
        }
        return { ok: true, tookMs: 2, status: 200 }
      },
    })
  const input = (server: string) => ({
    inventoryPath: '/home/ops/edge/inventory.yml',
    limit: [],
    forks: 8,
    timeoutMs: 1000,
    server,
    confirm: async (what: MoveAnnouncement) => {
      world.announced.push(what)
      return world.confirms
    },
  })
  const world: DrainWorld = {
    clock,
    abort: new AbortController(),
    events: [],
    writes: [],
    announced: [],
    answering: [],
    sessions: new Map(),
    inventory: INVENTORY,
    drains: new Map(),
    persistent: new Set(),
    stopped: new Set(),
    halted: new Set(),
    timers: new Map(),
    unreachable: new Set(),
    openConnections: () => undefined,
    profile: 'fast',
    holder: 'srv-1',
    takeoverMs: 800,
    lostProbes: 0,
    isReachedByController: true,
    confirms: true,
    isLockBroken: false,
    isLockTaken: false,
    beforeWrite: () => undefined,
    drain: (server, over, run = ports()) =>
      clock.settle(
        drain({ ...input(server), persist: false, force: false, waitMs: undefined, ...over }, run, event => world.events.push(event)),
      ),
    failedDrain: (server, over) => failureOf(ports(), run => world.drain(server, over, run)),
    undrain: (server, run = ports()) => clock.settle(undrain(input(server), run, event => world.events.push(event))),
    newRun: ports,
  }
  return world
}

/** A script that does this and says nothing. */
function done(what: () => unknown): () => Partial<CommandResult> {
  return () => {
    what()
    return {}
  }
}

function answerOf(world: DrainWorld, server: string, holder: string | undefined, effective: number): string {
  const isStopped = world.stopped.has(server)
  const number = server.slice(-1)
  const own = `2: eth0    inet 192.0.2.1${number}/24 scope global eth0\\       valid_lft forever\n`
  const vip = holder === server ? `2: eth0    inet ${VIP}/24 scope global secondary eth0\\       valid_lft forever\n` : ''
  const state = isStopped ? 3 : holder === server ? 2 : 1
  const view = {
    iname: 'VRRP1',
    ifp_ifname: 'eth0',
    vrid: 66,
    state,
    base_priority: BASE[server],
    effective_priority: effective,
    adver_int: 0.2,
    version: 3,
    vips: [`${VIP}/24 dev eth0`],
    track_script: ["'/usr/local/bin/haproxy-service-check.sh'"],
  }
  const trackers = ['haproxy_down 0', 'haproxy_offset 0', 'keepalived_offset 0', `drain ${world.drains.get(server) ?? 0}`]
  const parts: Record<string, string> = {
    addresses: own + vip,
    links: `2: eth0: <UP> mtu 1500\\    link/ether 02:00:00:00:00:0${number} brd ff:ff:ff:ff:ff:ff\n`,
    instances: `${JSON.stringify([{ data: view }])}\n`,
    trackers: world.profile === 'classic' ? '' : trackers.map(line => `/run/hactl/${line}\n`).join(''),
    check: isStopped ? '1\n' : '0\n',
  }
  if (world.persistent.has(server)) {
    parts['stats'] = '644 root root 10 /etc/tmpfiles.d/hactl-drain.conf\n'
    parts['sums'] = `${'a'.repeat(64)}  /etc/tmpfiles.d/hactl-drain.conf\n`
  }
  let text = world.profile === 'classic' ? CLASSIC : ANSWER
  for (const [name, body] of Object.entries(parts)) {
    const isAdded = name === 'stats' || name === 'sums'
    text = text.replace(
      new RegExp(`(@@begin ${name}\\n)([\\s\\S]*?)(@@end ${name}\\n)`),
      (_all, begin: string, old: string, end: string) => (isAdded ? begin + body + old + end : `${begin}${body}${end}`),
    )
  }
  const kept = world.openConnections(server)
  if (kept !== undefined) text = withService(text, /^(?:un)?able\b/m.test(kept) ? kept : `able\n${kept}`)
  return isStopped ? text.replace('ActiveState=active', 'ActiveState=inactive') : text
}

/** A service that runs and has these connections open, by port, to the address that has moved away. */
export function keeping(open: Readonly<Record<number, number>>): string {
  const lines = Object.entries(open).map(([port, connections]) => `open VRRP1 ${port} ${connections}\n`)
  return `running\nrules owner,persist\nable\ninstance VRRP1 ${lines.length > 0 ? 'kept' : 'none'}\n${lines.join('')}`
}

/** srv-1 with an operator's offset in its drain file, as keepalived shows it. */
export function drainedNode(offset: number, state: 'BACKUP' | 'FAULT', effectivePriority: number): ObservedNode {
  const world = drainWorld()
  world.drains.set('srv-1', offset)
  const node = parseProbe('srv-1', answerOf(world, 'srv-1', undefined, effectivePriority), PROBE_REQUEST)
  return { ...node, instances: node.instances.map(instance => ({ ...instance, state })) }
}
