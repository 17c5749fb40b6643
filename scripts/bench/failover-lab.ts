// Eyes and hands of the failover benchmark: probes through the virtual address, who holds it by the kernel's own word,
// and what is done to a server of the lab.
import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import type { LabFile } from '../support/lab.ts'
import { labScript } from '../support/places.ts'
import { type Ended, interruption, MINUTE_MS, must, run, Stop } from '../support/process.ts'

type Server = LabFile['servers'][number]

const PROBE_EVERY_MS = 20
const PROBE_LIMIT_MS = 1000
const STABLE_MS = 1500
const SETTLE_LIMIT_MS = 90_000

export const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))
/** One clock for probes and kernel events: ms since 1970, finer than Date.now(). */
const nowMs = () => performance.timeOrigin + performance.now()

// ---------------------------------------------------------------- probes

/** One new connection, one request: undefined when HAProxy passed on a 200 within a second, else what came instead. */
function probe(host: string): Promise<string | undefined> {
  return new Promise(resolve => {
    let said = ''
    let done = false
    const socket = connect({ host, port: 80 })
    let stage = 'no connection'
    const end = (why: string | undefined) => {
      if (done) return
      done = true
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => end(`${stage} within 1 s`), PROBE_LIMIT_MS)
    socket.on('connect', () => {
      stage = 'no answer'
      socket.write('GET / HTTP/1.0\r\n\r\n')
    })
    socket.setEncoding('utf8').on('data', (text: string) => (said += text))
    socket.on('error', (error: NodeJS.ErrnoException) => end(`${error.code} (${stage})`))
    socket.on('close', () => end(/^HTTP\/1\.\d 200 /.test(said) ? undefined : said.slice(0, 12) || 'closed without an answer'))
  })
}

interface Sample {
  readonly sentMs: number
  /** undefined: it was answered. */
  why: string | undefined
}

export interface Seen {
  readonly probes: number
  readonly lost: number
  readonly outageMs: number
  readonly reasons: readonly string[]
}

export interface Probes {
  stop(): Promise<Seen>
}

/** A new connection every 20 ms until stop(), which resolves { probes, lost, outageMs, reasons }. Bounded to an hour. */
export function startProbes(host: string): Probes {
  const samples: Sample[] = []
  const pending: Promise<void>[] = []
  let running = true
  const began = nowMs()
  const loop = (async () => {
    for (let i = 0; running && i < 180_000; i++) {
      const wait = began + i * PROBE_EVERY_MS - nowMs()
      if (wait < -PROBE_EVERY_MS) continue
      if (wait > 0) await sleep(wait)
      const sample: Sample = { sentMs: nowMs(), why: undefined }
      samples.push(sample)
      pending.push(
        probe(host).then(why => {
          sample.why = why
        }),
      )
    }
  })()
  return {
    async stop() {
      running = false
      await loop
      await Promise.all(pending)
      const lost = samples.flatMap(({ why }) => (why === undefined ? [] : [why]))
      return { probes: samples.length, reasons: [...new Set(lost)], lost: lost.length, outageMs: longestOutageMs(samples) }
    },
  }
}

/** From the last good probe's sending to the next good one's, for the longest run of lost ones; 0 where none was lost. */
function longestOutageMs(samples: readonly Sample[]): number {
  let longest = 0
  let lastGood = samples[0]?.sentMs ?? 0
  let lost = false
  for (const { sentMs, why } of samples) {
    if (why === undefined) {
      if (lost) longest = Math.max(longest, sentMs - lastGood)
      lastGood = sentMs
    }
    lost = why !== undefined
  }
  const end = samples.at(-1)?.sentMs ?? 0
  return Math.round(lost ? Math.max(longest, end - lastGood) : longest)
}

// ---------------------------------------------------------------- holders

interface HolderEvent {
  readonly at: number
  readonly server: string
  readonly holds: boolean
}

export interface HolderWatch {
  readonly events: readonly HolderEvent[]
  holders(): readonly string[]
  close(): void
}

/**
 * Whether a line of `ip -o addr show` or `ip -ts -o monitor address` says that the server holds the address; undefined where it says nothing of it.
 * One that only lo has is there to send from it (evidence O3).
 */
export function saysHeld(line: string, address: string): boolean | undefined {
  return !line.includes(` ${address}/`) || / scope host\b/.test(line) ? undefined : !/\] ?Deleted/.test(line)
}

/**
 * Follows an address on every server by `ip monitor` inside it: { at, server, holds } per change, with the kernel's time.
 * A server that reboots is followed again as soon as it runs.
 */
export function watchHolders(lab: LabFile, address = lab.vip): HolderWatch {
  const events: HolderEvent[] = []
  const current = new Map(lab.servers.map(server => [server.name, false]))
  const children = new Set<ChildProcess>()
  let closed = false
  const say = (server: string, holds: boolean, at: number) => {
    if (current.get(server) === holds) return
    current.set(server, holds)
    events.push({ at, server, holds })
  }
  const script = `TZ=UTC0 stdbuf -oL ip -ts -o monitor address & sleep 0.2; ip -o addr show; echo shown; wait`
  const follow = (server: Server) => {
    if (closed) return
    const child = spawn('docker', ['exec', server.container, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    children.add(child)
    let rest = ''
    let seen = false
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const stamp = /^\[([^\]]+)\]/.exec(line)?.[1]
        const holds = saysHeld(line, address)
        if (stamp !== undefined && holds !== undefined) say(server.name, holds, Date.parse(`${stamp}Z`))
        else if (line === 'shown' && !seen) say(server.name, false, nowMs())
        else if (holds !== undefined) {
          seen = true
          say(server.name, true, nowMs())
        }
      }
    })
    child.on('close', () => {
      children.delete(child)
      if (closed) return
      say(server.name, false, nowMs())
      setTimeout(() => follow(server), 300)
    })
  }
  for (const server of lab.servers) follow(server)
  return {
    events,
    holders: () => [...current].filter(([, holds]) => holds).map(([name]) => name),
    close() {
      closed = true
      for (const child of children) child.kill()
    },
  }
}

interface Holding {
  readonly moves: number
  readonly overlaps: readonly { readonly fromMs: number; readonly toMs: number }[]
  readonly longestOverlapMs: number
}

/** What the events since `fromMs` say: how often another server took the address, and the longest time that two held it. */
export function judgeHolders(events: readonly HolderEvent[], fromMs: number): Holding {
  const holding = new Set<string>()
  let moves = 0
  let since: number | undefined
  const overlaps: { fromMs: number; toMs: number }[] = []
  for (const { at, server, holds } of [...events].sort((a, b) => a.at - b.at)) {
    if (holds) holding.add(server)
    else holding.delete(server)
    if (at >= fromMs && holds) moves++
    if (holding.size >= 2) since ??= Math.max(at, fromMs)
    else if (since !== undefined) {
      if (at >= fromMs) overlaps.push({ fromMs: since - fromMs, toMs: at - fromMs })
      since = undefined
    }
  }
  if (since !== undefined) overlaps.push({ fromMs: since - fromMs, toMs: Number.POSITIVE_INFINITY })
  return { moves, overlaps, longestOverlapMs: Math.round(Math.max(0, ...overlaps.map(o => o.toMs - o.fromMs))) }
}

// ---------------------------------------------------------------- hands

/** A shell line as root inside a server. */
export async function inside(server: Server, line: string): Promise<Ended> {
  return await run('docker', ['exec', server.container, 'sh', '-c', line], { capture: true, timeoutMs: MINUTE_MS })
}

export const docker = (...words: readonly string[]) => must(`docker ${words[0]}`, 'docker', words, { capture: true, timeoutMs: MINUTE_MS })
export const lab = (...words: readonly string[]) => must(`lab ${words[0]}`, labScript, words, { capture: true, timeoutMs: MINUTE_MS })

/** A program of this machine in the server's own network namespace; the server itself knows nothing of it. */
async function inNetworkOf(server: Server, words: readonly string[], input?: string): Promise<string> {
  const { stdout } = await docker('inspect', '-f', '{{.State.Pid}}', server.container)
  const more = input === undefined ? {} : { input }
  return (await must(words[0] ?? '', 'nsenter', ['-t', stdout.trim(), '-n', ...words], { capture: true, timeoutMs: MINUTE_MS, ...more }))
    .stdout
}

/** VRRP dropped in both directions. */
export async function firewallVrrp(server: Server, add: boolean): Promise<void> {
  for (const chain of ['INPUT', 'OUTPUT']) await inNetworkOf(server, ['iptables', add ? '-I' : '-D', chain, '-p', '112', '-j', 'DROP'])
}

/** What puts back the rules by which the container engine answers DNS: a server that empties its packet filter takes them away. */
export async function rulesOfEngine(server: Server): Promise<() => Promise<void>> {
  const rules = await inNetworkOf(server, ['iptables-save', '-t', 'nat'])
  return async () => {
    await inNetworkOf(server, ['iptables-restore'], rules)
  }
}

/**
 * Makes a server slow: `cpus` cores that three busy loops want as well, and a disk that is written to and synced all the time.
 * Resolves with what ends it; by itself it ends a minute after `limitMs`.
 */
export async function startLoad(server: Server, cpus: string, limitMs: number): Promise<() => Promise<void>> {
  const seconds = Math.ceil(limitMs / 1000) + 60
  const busy = 'for i in 1 2 3; do timeout $1 sh -c "while :; do :; done" & done'
  const disk = 'timeout $1 sh -c "while :; do dd if=/dev/zero of=/var/tmp/load bs=1M count=8 conv=fsync 2>/dev/null; done" &'
  await docker('update', '--cpus', cpus, server.container)
  await docker('exec', '-d', server.container, 'sh', '-c', `${busy}; ${disk} wait; rm -f /var/tmp/load`, 'sh', `${seconds}`)
  return async () => {
    await docker('update', '--cpus', '2', server.container)
    await inside(server, 'pkill -f "while :"; rm -f /var/tmp/load')
  }
}

/** How often keepalived's check failed or was cut off on each server since then, by the journal. */
export async function failedChecks(servers: readonly Server[], sinceMs: number): Promise<readonly number[]> {
  const since = new Date(sinceMs).toISOString().slice(0, 19).replace('T', ' ')
  const counted = await Promise.all(
    servers.map(server =>
      inside(server, `TZ=UTC0 journalctl -q -u keepalived -o cat --since '${since}' | grep -cE 'VRRP_Script.* (failed|timed_out)'`),
    ),
  )
  return counted.map(({ stdout }) => Number(stdout.trim()))
}

/** Waits until `home` alone has held the address for STABLE_MS, both units run everywhere and haproxy counts as up. */
export async function settled(servers: readonly Server[], watch: HolderWatch, home: string): Promise<void> {
  const until = nowMs() + SETTLE_LIMIT_MS
  let since: number | undefined
  while (nowMs() < until && interruption() === undefined) {
    const holders = watch.holders()
    if (holders.length === 1 && holders[0] === home) since ??= nowMs()
    else since = undefined
    if (since !== undefined && nowMs() - since >= STABLE_MS) {
      const active = await Promise.all(servers.map(server => inside(server, 'systemctl is-active haproxy keepalived')))
      if (active.every(({ code }) => code === 0)) return
    }
    await sleep(50)
  }
  throw new Stop(`${home} does not hold the address again`, `holders: ${watch.holders().join(', ') || 'none'}`, 'test/lab/lab status')
}
