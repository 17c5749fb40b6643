/** Very many open connections: how fast the address moves, how many of them go on, and what the service needs meanwhile. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { binFolder } from '../../support/places.ts'
import { MINUTE_MS, run, Stop, stopIfInterrupted } from '../../support/process.ts'
import type { Helper } from '../client-namespace.ts'
import { type HolderWatch, settled, sleep, startProbes, watchHolders } from '../failover-lab.ts'
import { type Asked, type Clients, MOST_COUNT } from './clients.ts'
import { AGAIN, type CostLab } from './cost-lab.ts'
import { cpuBetween, type Process } from './cpu.ts'
import { type Judged, lookBefore, planClients, sumOf } from './figures.ts'
import { type Limits, PORTS } from './inventory.ts'
import { allProcesses, availableBytes } from './processes.ts'

const MOST_TAKEOVER_MS = 1000
/** Of one CPU, for the program and its nft on one server. */
const MOST_SERVICE = 0.02
const SERVICE = 'hactl-open-connections.service'

const PER_SECOND = 2000
const OPEN_GRACE_MS = 2 * MINUTE_MS
const QUIET_MS = 10_000
const AFTER_DRAIN_MS = 2000
/** What a move costs the service at once, which the time until the last answer hides. */
const AFTER_MOVE_MS = 3000
const LOOK_EVERY_MS = 200
const MOVE_LIMIT_MS = MINUTE_MS
const ASK_MS = 25_000
const ASK_GRACE_MS = MINUTE_MS
const RELOAD_MS = 2000
/** Files that a process needs for other things than connections, and connections other than those of the clients. */
const OTHER_FILES = 500
const OTHER_CONNECTIONS = 200
/** Of /24, from .240 on: each has its own client program. */
const MOST_PROGRAMS = 14

export const clientAddresses = (prefix: string) => Array.from({ length: MOST_PROGRAMS }, (_, at) => `${prefix}.${240 + at}`)

/** How the connections are spread over workers of haproxy and programs of clients, as the machine's limits allow. */
export interface Plan {
  readonly workers: readonly (readonly number[])[]
  readonly haproxy: Limits
}

/**
 * A container may refuse a process more open files (RLIMIT_NOFILE) than the machine gives it. The connections are then spread over workers of
 * haproxy: a reload keeps those that the worker before has.
 */
export async function planConnections(bench: CostLab, count: number): Promise<Plan> {
  const inServer = Number(
    (
      await bench.inside(bench.holder, 'a=$(ulimit -Hn); b=$(systemctl show --value -p DefaultLimitNOFILE); echo $((a < b ? a : b))')
    ).trim(),
  )
  const here = Number((await run('sh', ['-c', 'ulimit -Hn'], { capture: true, timeoutMs: MINUTE_MS })).stdout.trim())
  const workers = planClients(count, inServer - OTHER_FILES, Math.min(MOST_COUNT, here - OTHER_FILES))
  const programs = workers.flat().length
  if (programs > MOST_PROGRAMS)
    throw new Stop(
      `${count} connections need ${programs} programs`,
      `there are addresses for ${MOST_PROGRAMS}, and a program may open ${here} files`,
      `${AGAIN} -- --connections 100000`,
    )
  const tracked = '/proc/sys/net/netfilter/nf_conntrack_max'
  const most = existsSync(tracked) ? Number(readFileSync(tracked, 'utf8')) : Number.POSITIVE_INFINITY
  // Those of the part before, which are over, are still in the table.
  if (count + 70_000 > most)
    throw new Stop(
      'the kernel tracks too few connections',
      `${tracked} is ${most}`,
      `sysctl -w net.netfilter.nf_conntrack_max=${2 * count + 70_000}`,
    )
  const connections = Math.max(...workers.map(one => one.reduce((sum, programs) => sum + programs, 0))) + OTHER_CONNECTIONS
  console.log(
    `${count.toLocaleString('en-US')} connections: a process of a server may open ${inServer.toLocaleString('en-US')} files, so ${workers.length} workers of haproxy; one of this machine ${here.toLocaleString('en-US')}, so ${programs} client programs`,
  )
  return { workers, haproxy: { connections, files: Math.min(inServer, connections * 2 + OTHER_FILES) } }
}

async function openAll(bench: CostLab, { workers }: Plan): Promise<readonly Helper[]> {
  const addresses = clientAddresses(bench.lab.prefix)
  const programs: Helper[] = []
  try {
    for (const [at, counts] of workers.entries()) {
      if (at > 0) {
        await bench.inside(bench.holder, 'systemctl reload haproxy')
        await sleep(RELOAD_MS)
      }
      for (const count of counts) {
        stopIfInterrupted('no figures', AGAIN)
        const clients: Clients = {
          from: addresses[programs.length] ?? '',
          host: bench.lab.vip,
          ports: [PORTS.wild, PORTS.named],
          count,
          perSecond: PER_SECOND,
        }
        const program = bench.place.start(join(binFolder, 'node'), join(import.meta.dirname, 'clients-process.ts'), JSON.stringify(clients))
        programs.push(program)
        await program.ready(`${count} clients`, (count / PER_SECOND) * 1000 + OPEN_GRACE_MS)
      }
    }
    return programs
  } catch (error) {
    for (const program of programs) program.kill()
    throw error
  }
}

/** Since 1970, as the watch of the holders counts. */
const nowMs = () => performance.timeOrigin + performance.now()

interface Look {
  readonly atMs: number
  readonly processes: readonly Process[]
}

const look = (): Look => ({ atMs: nowMs(), processes: allProcesses() })

/** What the service and its nft used of one CPU on each server. */
class ServiceCpu {
  readonly #isService: readonly ((process: Process) => boolean)[]

  constructor(containers: readonly string[]) {
    this.#isService = containers.map(
      id =>
        ({ cgroup }) =>
          cgroup.includes(id) && cgroup.includes(SERVICE),
    )
  }

  /** From one look to a later one. Stops where the service does not run. */
  shares(from: Look, to: Look): readonly number[] {
    const shares = this.#isService.map(isOne => cpuBetween(from.processes, to.processes, isOne) / (to.atMs - from.atMs))
    if (shares.some(Number.isNaN))
      throw new Stop('the CPU of the service is not known', `no process is in a cgroup of ${SERVICE}`, 'test/lab/lab status')
    return shares
  }
}

/** The last look before another server took the address, and one AFTER_MOVE_MS later. Stops where none does within MOVE_LIMIT_MS. */
async function looksAtMove(watch: HolderWatch, holder: string): Promise<readonly [Look, Look]> {
  const fromMs = nowMs()
  const looks = [look()]
  while (true) {
    const taken = watch.events.find(({ at, server, holds }) => holds && server !== holder && at >= fromMs)
    if (taken !== undefined) {
      await sleep(Math.max(0, taken.at + AFTER_MOVE_MS - nowMs()))
      return [lookBefore(looks, taken.at), look()]
    }
    stopIfInterrupted('no figures', AGAIN)
    if (nowMs() > fromMs + MOVE_LIMIT_MS)
      throw new Stop('no other server took the address', `not within ${MOVE_LIMIT_MS / 1000} s`, 'test/lab/lab status')
    await sleep(LOOK_EVERY_MS)
    looks.push(look())
  }
}

const percent = (share: number) => `${(share * 100).toFixed(2)} %`

/** The servers have been deployed with the plan's limits, and their rules work. */
export async function measureMany(bench: CostLab, plan: Plan): Promise<readonly Judged[]> {
  const { lab, holder } = bench
  const watch = watchHolders(lab)
  let programs: readonly Helper[] = []
  let isDrained = false
  try {
    await settled(lab.servers, watch, holder.name)
    const availableBefore = availableBytes()
    programs = await openAll(bench, plan)
    const count = plan.workers.flat().reduce((sum, one) => sum + one, 0)
    console.log(`all are open; they take ${((availableBefore - availableBytes()) / 1e9).toFixed(1)} GB of memory, clients included`)
    const perServer = (shares: readonly number[]) =>
      lab.servers.map(({ name }, at) => `${name} ${percent(shares[at] ?? Number.NaN)}`).join(', ')
    const service = new ServiceCpu(await Promise.all(lab.servers.map(server => bench.containerOf(server))))
    const quiet = look()
    await sleep(QUIET_MS)
    console.log(`the service's CPU while ${holder.name} holds the address: ${perServer(service.shares(quiet, look()))}`)
    const probes = startProbes(lab.vip)
    await sleep(1000)
    let move: readonly [Look, Look]
    try {
      isDrained = true
      ;[move] = await Promise.all([looksAtMove(watch, holder.name), bench.drain()])
      await sleep(AFTER_DRAIN_MS)
    } finally {
      await probes.stop()
    }
    const seen = await probes.stop()
    const fromMs = Number(await bench.inside(holder, 'stat -c %.3Y /run/hactl/drain')) * 1000
    const taken = watch.events.find(({ at, server, holds }) => holds && server !== holder.name && at >= fromMs)
    const limitMs = ASK_MS + ASK_GRACE_MS
    const answers = await Promise.all(programs.map(program => program.ask('a program of clients', `ask ${ASK_MS}`, limitMs)))
    const asked = sumOf(answers.map(line => JSON.parse(line) as Asked))
    const [ofMove, used] = [service.shares(...move), service.shares(move[0], look())]
    const takeoverMs = (taken?.at ?? Number.POSITIVE_INFINITY) - fromMs
    const reasons = Object.entries(asked.lost).map(([how, times]) => `${times} ${how}`)
    return [
      {
        what: `the next server holds the address and answers, ${count.toLocaleString('en-US')} connections`,
        seen: `${(takeoverMs / 1000).toFixed(2)} s after the priority fell${taken === undefined ? '' : ` (${taken.server})`}; ${seen.lost} of ${seen.probes} probes lost, longest outage ${(seen.outageMs / 1000).toFixed(2)} s`,
        bar: `${MOST_TAKEOVER_MS / 1000} s`,
        isMet: takeoverMs + seen.outageMs <= MOST_TAKEOVER_MS,
      },
      {
        what: 'connections answered after the move',
        seen: `${asked.answered.toLocaleString('en-US')} of ${count.toLocaleString('en-US')}${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}`,
        bar: 'all',
        isMet: asked.answered === count,
      },
      {
        what: `CPU of the service and its nft, from the move to ${AFTER_MOVE_MS / 1000} s after it`,
        seen: perServer(ofMove),
        bar: `${percent(MOST_SERVICE)} of one CPU`,
        isMet: ofMove.every(share => share <= MOST_SERVICE),
      },
      {
        what: 'CPU of the service and its nft, from the move to the last answer',
        seen: perServer(used),
        bar: `${percent(MOST_SERVICE)} of one CPU`,
        isMet: used.every(share => share <= MOST_SERVICE),
      },
    ]
  } finally {
    watch.close()
    // The server is undrained whatever became of the clients.
    await Promise.allSettled(programs.map(program => program.end(MINUTE_MS)))
    if (isDrained) await bench.undrain()
  }
}
