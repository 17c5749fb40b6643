// Eyes and hands of the failover benchmark: probes through the virtual address, who holds it by the kernel's own word,
// and what is done to a server of the lab.
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import { interruption, labScript, must, run, Stop } from '../bootstrap.mjs'

const MINUTE_MS = 60_000
const PROBE_EVERY_MS = 20
const PROBE_LIMIT_MS = 1000

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
/** One clock for probes and kernel events: ms since 1970, finer than Date.now(). */
const nowMs = () => performance.timeOrigin + performance.now()

// ---------------------------------------------------------------- probes

/** One new connection, one request: undefined when HAProxy passed on a 200 within a second, else what came instead. */
function probe(host) {
  return new Promise(resolve => {
    let said = ''
    let done = false
    const socket = connect({ host, port: 80 })
    let stage = 'no connection'
    const end = why => {
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
    socket.on('data', text => (said += text))
    socket.on('error', error => end(`${error.code} (${stage})`))
    socket.on('close', () => end(/^HTTP\/1\.\d 200 /.test(said) ? undefined : said.slice(0, 12) || 'closed without an answer'))
  })
}

/** A new connection every 20 ms until stop(), which resolves { probes, lost, outageMs, reasons }. Bounded to an hour. */
export function startProbes(host) {
  const samples = []
  let running = true
  const began = nowMs()
  const loop = (async () => {
    for (let i = 0; running && i < 180_000; i++) {
      const wait = began + i * PROBE_EVERY_MS - nowMs()
      if (wait < -PROBE_EVERY_MS) continue
      if (wait > 0) await sleep(wait)
      const sample = { sentMs: nowMs() }
      samples.push(sample)
      sample.result = probe(host).then(why => {
        sample.good = why === undefined
        sample.why = why
      })
    }
  })()
  return {
    samples,
    async stop() {
      running = false
      await loop
      await Promise.all(samples.map(sample => sample.result))
      const reasons = [...new Set(samples.filter(sample => !sample.good).map(sample => sample.why))]
      return { probes: samples.length, reasons, lost: samples.filter(sample => !sample.good).length, outageMs: longestOutageMs(samples) }
    },
  }
}

/** From the last good probe's sending to the next good one's, for the longest run of lost ones; 0 where none was lost. */
function longestOutageMs(samples) {
  let longest = 0
  let lastGood = samples[0]?.sentMs ?? 0
  let lost = false
  for (const { sentMs, good } of samples) {
    if (good) {
      if (lost) longest = Math.max(longest, sentMs - lastGood)
      lastGood = sentMs
    }
    lost = !good
  }
  const end = samples.at(-1)?.sentMs ?? 0
  return Math.round(lost ? Math.max(longest, end - lastGood) : longest)
}

// ---------------------------------------------------------------- holders

/**
 * Follows the address on every server by `ip monitor` inside it: { at, server, holds } per change, with the kernel's time.
 * A server that reboots is followed again as soon as it runs.
 */
export function watchHolders(lab) {
  const events = []
  const current = new Map(lab.servers.map(server => [server.name, false]))
  const children = new Set()
  let closed = false
  const say = (server, holds, at) => {
    if (current.get(server) === holds) return
    current.set(server, holds)
    events.push({ at, server, holds })
  }
  const script = `TZ=UTC0 stdbuf -oL ip -ts -o monitor address & sleep 0.2; ip -o addr show; echo shown; wait`
  const follow = server => {
    if (closed) return
    const child = spawn('docker', ['exec', server.container, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
    children.add(child)
    let rest = ''
    let seen = false
    child.stdout.setEncoding('utf8').on('data', text => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const stamp = /^\[([^\]]+)\]/.exec(line)?.[1]
        const ours = line.includes(` ${lab.vip}/`)
        if (stamp !== undefined && ours) say(server.name, !/\] ?Deleted/.test(line), Date.parse(`${stamp}Z`))
        else if (line === 'shown' && !seen) say(server.name, false, nowMs())
        else if (ours) {
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

/** What the events since `fromMs` say: how often another server took the address, and the longest time that two held it. */
export function judgeHolders(events, fromMs) {
  const holding = new Set()
  let moves = 0
  let since
  const overlaps = []
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
export async function inside(server, line, { timeoutMs = MINUTE_MS } = {}) {
  return await run('docker', ['exec', server.container, 'sh', '-c', line], { capture: true, timeoutMs })
}

export const docker = (...words) => must(`docker ${words[0]}`, 'docker', words, { capture: true, timeoutMs: MINUTE_MS })
export const lab = (...words) => must(`lab ${words[0]}`, labScript, words, { capture: true, timeoutMs: MINUTE_MS })

/** VRRP dropped in both directions in the server's own network namespace; the server itself knows nothing of it. */
export async function firewallVrrp(server, add) {
  const { stdout } = await docker('inspect', '-f', '{{.State.Pid}}', server.container)
  for (const chain of ['INPUT', 'OUTPUT']) {
    await must('iptables', 'nsenter', ['-t', stdout.trim(), '-n', 'iptables', add ? '-I' : '-D', chain, '-p', '112', '-j', 'DROP'], {
      capture: true,
    })
  }
}

/**
 * Makes a server slow: `cpus` cores that three busy loops want as well, and a disk that is written to and synced all the time.
 * Resolves with what ends it; by itself it ends a minute after `limitMs`.
 */
export async function startLoad(server, cpus, limitMs) {
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
export async function failedChecks(servers, sinceMs) {
  const since = new Date(sinceMs).toISOString().slice(0, 19).replace('T', ' ')
  const counted = await Promise.all(
    servers.map(server =>
      inside(server, `TZ=UTC0 journalctl -q -u keepalived -o cat --since '${since}' | grep -cE 'VRRP_Script.* (failed|timed_out)'`),
    ),
  )
  return counted.map(({ stdout }) => Number(stdout.trim()))
}

/** Waits until `home` alone has held the address for `stableMs`, both units run everywhere and haproxy counts as up. */
export async function settled(servers, watch, home, { stableMs = 1500, limitMs = 90_000 } = {}) {
  const until = nowMs() + limitMs
  let since
  while (nowMs() < until && interruption() === undefined) {
    const holders = watch.holders()
    if (holders.length === 1 && holders[0] === home) since ??= nowMs()
    else since = undefined
    if (since !== undefined && nowMs() - since >= stableMs) {
      const active = await Promise.all(servers.map(server => inside(server, 'systemctl is-active haproxy keepalived')))
      if (active.every(({ code }) => code === 0)) return
    }
    await sleep(50)
  }
  throw new Stop(`${home} does not hold the address again`, `holders: ${watch.holders().join(', ') || 'none'}`, 'test/lab/lab status')
}
