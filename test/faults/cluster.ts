/** The cluster under test: a configuration that has its number in every answer, when a server is complete, and how the next run finishes a run. */
import { get } from 'node:http'
import { type Json, labHaproxy, labInventory, resultOf, type Run, type Running, vrrpInstance } from '../e2e/support/hactl.ts'
import { SERVERS, until } from '../e2e/support/lab.ts'
import type { World } from './row.ts'

/** A run that has not ended after this many ms counts as hung, and is killed. The longest honest one waits out two dead connections. */
export const RUN_DEADLINE_MS = 100_000
/** A dead run's lock is free by then. */
const LOCK_DEADLINE_MS = 30_000
const ANSWER_LIMIT_MS = 2_000

let number = 0
/** What all servers run without a fault. */
let live = 0

/** The next configuration; every fourth also changes keepalived's. HAProxy gives its number away in every answer. */
export function nextConfig(): number {
  return ++number
}

export function liveConfig(): number {
  return live
}

/**
 * Slow enough for a machine that runs three servers, a load and everything else on few cores: where a server gets no CPU for a second, the
 * fast profile's own timing would count it as dead, and that is not the fault under test.
 */
const CALM = { vrrp_script: { interval: 3, timeout: 3, fall: 3, rise: 1 } }

export function inventoryOf(world: World, config: number, over: Json = {}): Json {
  const header = `http-response set-header X-Config c${config}`
  return labInventory(world.lab, {
    haproxy: labHaproxy(world.lab, {
      frontends: [{ name: 'web', bind: [':80'], mode: 'http', default_backend: 'app', lines: [header] }],
    }),
    ...CALM,
    vrrp_instances: [vrrpInstance(world.lab, { advert_int: 1, garp_master_refresh: 60 + Math.floor(config / 4) })],
    ...over,
  })
}

export function startDeploy(world: World, config: number, over: Json = {}): Running {
  world.work.writeInventory(inventoryOf(world, config, over))
  return world.work.start(['deploy', '--yes', '--json'], { limitMs: RUN_DEADLINE_MS })
}

/** Which configuration a server answers with; undefined where it does not answer. */
function servedBy(host: string): Promise<string | undefined> {
  return new Promise(resolve => {
    const asking = get({ host, agent: false, timeout: ANSWER_LIMIT_MS }, answer => {
      answer.resume()
      const config = answer.headers['x-config']
      resolve(answer.statusCode === 200 ? String(config) : undefined)
    })
    asking.once('timeout', () => asking.destroy())
    asking.once('error', () => resolve(undefined))
  })
}

/** What a finished run must not leave on any server. */
const LITTER =
  'find /etc /usr/local /var/lib/hactl -name "*.hactl-new" -o -name "*.new"; ls -d /var/lib/hactl/lock /var/lib/hactl/runs 2>/dev/null; ls -d /run/systemd/transient/hactl-* 2>/dev/null'

/**
 * What is incomplete on any server: services that do not run, files that the daemons refuse, answers of no known configuration. Once a run
 * has finished, also leftovers, and an address that is not held by exactly one server.
 */
export async function wounds(world: World, allowed: readonly number[], isFinished = false): Promise<string[]> {
  const { lab } = world
  const holders: string[] = []
  const found = await Promise.all(
    SERVERS.map(async server => {
      // A killed run's script ends on the server by itself: what it does is looked at when it is done.
      const look = await lab.trySh(
        server,
        'exec 8>/var/lib/hactl/switch.mutex; flock -w 60 8 || echo a switch that does not end; systemctl is-active haproxy keepalived | tr "\\n" " "; echo; ' +
          `haproxy -c -q -f /etc/haproxy/haproxy.cfg; keepalived -t -f /etc/keepalived/keepalived.conf 2>&1; ${isFinished ? LITTER : 'true'}; ` +
          `ip -o addr show scope global to ${lab.vip} | grep -q . && echo @@holds; true`,
      )
      const lines = `${look.stdout}${look.stderr}`.trim().split('\n')
      if (lines.includes('@@holds')) holders.push(server)
      const said = lines
        .filter(line => line !== '@@holds')
        .map(line => line.trim())
        .join(' ')
      const served = await servedBy(lab.host(server))
      return [
        ...(said === 'active active' ? [] : [`${server}: ${said}`]),
        ...(allowed.some(config => served === `c${config}`)
          ? []
          : [`${server} answers with ${served ?? 'nothing'}, not with c${allowed.join(' or c')}`]),
      ]
    }),
  )
  if (isFinished && holders.length !== 1) return [...found.flat(), `the address is held by ${holders.join(' and ') || 'nobody'}`]
  return found.flat()
}

export const isHung = (run: Run) => run.exit === 137

/** A run's own words about its end, for the log. */
export function told(run: Run): string {
  try {
    const { exit, code, what, why } = resultOf(run)
    return `exit ${exit} ${code ?? ''} ${what ?? ''} ${(why ?? []).join(' / ')}`.trim()
  } catch {
    return `exit ${run.exit} ${run.stderr.slice(-400)}`
  }
}

export interface Finish {
  readonly broken: string[]
  readonly hung: string[]
  /** From the fault until a run got the lock; undefined where it was not waited for. */
  readonly lockFreeMs: number | undefined
}

/**
 * The next run finishes the job and the one after that has nothing to do; then everything is looked at from outside. With
 * `lockSinceMs` (performance.now() of the fault) the dead run's lock must free itself, else `hactl unlock` takes it away.
 */
export async function finish(world: World, config: number, lockSinceMs: number | undefined): Promise<Finish> {
  const { work } = world
  work.writeInventory(inventoryOf(world, config))
  const broken: string[] = []
  const hung: string[] = []
  const deploy = async () => {
    const run = await work.hactl(['deploy', '--yes', '--json'], { limitMs: RUN_DEADLINE_MS })
    if (isHung(run)) hung.push(`the next run did not end: ${run.stdout.slice(-300)}`)
    return run
  }
  if (lockSinceMs === undefined) {
    const unlocked = await work.hactl(['unlock', '--force', '--json'], { limitMs: RUN_DEADLINE_MS })
    if (unlocked.exit !== 0) broken.push(`unlock: ${told(unlocked)}`)
  }
  let run = await deploy()
  let waited = false
  while (lockSinceMs !== undefined && run.exit === 5 && resultOf(run).code === 'E_LOCKED' && performance.now() < lockSinceMs + 45_000) {
    waited = true
    await new Promise(resolve => setTimeout(resolve, 500))
    run = await deploy()
  }
  const lockFreeMs = waited && lockSinceMs !== undefined ? performance.now() - lockSinceMs - durationOf(run) : undefined
  if (lockFreeMs !== undefined && lockFreeMs > LOCK_DEADLINE_MS)
    broken.push(`the lock was free after ${Math.round(lockFreeMs / 1000)} s only`)
  if (run.exit !== 0) broken.push(`the next run: ${told(run)}`)
  const again = await deploy()
  if (again.exit !== 0) broken.push(`the run after it: ${told(again)}`)
  else {
    const left = (resultOf(again).servers ?? []).flatMap(server => server.changed.map(id => `${server.name} ${id}`))
    if (left.length > 0) broken.push(`the run after it still had to do: ${left.join(', ')}`)
  }
  broken.push(...(await wounds(world, [config], true)))
  live = config
  return { broken, hung, lockFreeMs }
}

function durationOf(run: Run): number {
  const value = (resultOf(run) as { readonly duration_ms?: number }).duration_ms
  return value ?? 0
}

/** The whole cluster deployed, with nothing to do. It is reset where a deploy cannot fix it. */
export async function makeWell(world: World): Promise<void> {
  const { lab, work } = world
  const config = nextConfig()
  live = config
  await lab.heal()
  work.writeInventory(inventoryOf(world, config))
  await work.hactl(['unlock', '--force', '--quiet'])
  const first = await work.hactl(['deploy', '--yes', '--json', '--adopt'])
  if (first.exit === 0) return
  world.say(`   the servers are made anew: ${told(first)}`)
  await lab.reset()
  const second = await work.hactl(['deploy', '--yes', '--json', '--adopt'])
  if (second.exit !== 0) throw new Error(`the lab cannot be deployed: ${told(second)}`)
}

/** Waits until every server runs both services again: after a boot. */
export async function untilUp(world: World, limitMs = 60_000): Promise<void> {
  await until('all servers run again', limitMs, async () => {
    const looks = await Promise.all(
      SERVERS.map(server => world.lab.trySh(server, 'for u in ssh haproxy keepalived; do systemctl is-active --quiet $u || exit 1; done')),
    )
    return looks.every(look => look.code === 0)
  })
}

/** How long a deploy of a new configuration takes here and now, in ms: the span in which faults fall. */
export async function deployMs(world: World): Promise<number> {
  const startedMs = performance.now()
  live = nextConfig()
  const run = await startDeploy(world, live).ended
  if (run.exit !== 0) throw new Error(`a deploy without any fault failed: ${told(run)}`)
  return performance.now() - startedMs
}

/** The last event of a run: where in its work the fault came. */
export function phaseOf(running: Running): string {
  const lines = running.lines()
  const last = lines.at(-1)
  if (lines.some(line => line.event === 'wave-started')) {
    if (lines.some(line => line.event === 'stage-started' && line.stage === 'prove')) return 'in the proof'
    return last?.event.startsWith('gate') === true ? 'at a gate' : 'in a switch'
  }
  if (lines.some(line => line.event === 'lock-taken')) return 'while preparing'
  return lines.length > 0 ? 'before the lock' : 'at its start'
}
