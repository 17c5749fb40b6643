/** Where the traffic comes from: a network namespace with a card on the lab's bridge. Its backend is there as well; only root can make it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import type { LabFile } from '../../support/lab.ts'
import { binFolder } from '../../support/places.ts'
import { MINUTE_MS, must, run, Stop } from '../../support/process.ts'
import { docker, inside } from '../failover-lab.ts'
import { type End, figuresOf, type TrafficFigures } from './figures.ts'
import type { Load, TrafficSeen } from './traffic-figures.ts'

const START_LIMIT_MS = 30_000
/** A transfer's grace and the last answers. */
const END_LIMIT_MS = 2 * MINUTE_MS

/** Addresses of the lab's network. The IPv6 one is of RFC 5180's range for benchmarks, and only on its bridge. */
export function addressesOf(lab: LabFile) {
  const six = (last: number) => `2001:2:0:${lab.prefix.split('.')[2]}::${last}`
  return { client: `${lab.prefix}.240`, backend: `${lab.prefix}.241`, secondVip: `${lab.prefix}.201`, six, vip6: six(200) }
}

export interface TrafficPlace {
  /** Starts the load and resolves once all of it flows. */
  start(load: Load): Promise<Traffic>
  close(): Promise<void>
}

interface Traffic {
  /** Lets transfers end and counts what the event that began at `eventMs` (since 1970) did. Rejects where the traffic's program died. */
  stop(eventMs: number): Promise<TrafficFigures>
  abandon(): void
}

const program = (name: string) => join(import.meta.dirname, name)

/** A program that says "ready" and ends with its stdin, so with this script, too. */
class Helper {
  readonly lines: string[] = []
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<number | null>
  #stderr = ''

  constructor(words: readonly string[]) {
    const [command = '', ...args] = words
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-2000)
    })
    createInterface({ input: this.#child.stdout }).on('line', line => this.lines.push(line))
    this.#closed = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', resolve)
    })
  }

  async ready(what: string): Promise<void> {
    const until = performance.now() + START_LIMIT_MS
    let code: number | null | undefined
    void this.#closed.then(
      ended => (code = ended),
      () => (code = null),
    )
    while (!this.lines.includes('ready')) {
      if (code !== undefined || performance.now() > until) {
        this.kill()
        throw new Stop(
          `${what} did not start`,
          `${this.#stderr || `nothing within ${START_LIMIT_MS / 1000} s`}\n${this.lines.join('\n')}`,
          'test/lab/lab status',
        )
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  /** Asks it to end, and waits for that. */
  async end(limitMs: number): Promise<void> {
    this.#child.stdin.end()
    const timer = setTimeout(() => this.kill(), limitMs)
    await this.#closed
    clearTimeout(timer)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** Makes the namespace, with `ipv6` gives it and the servers IPv6 addresses, and starts the backend. */
export async function openPlace(lab: LabFile, { ipv6 }: { readonly ipv6: boolean }): Promise<TrafficPlace> {
  const name = `${lab.project}-people`
  const link = `hp-${lab.project.slice(-8)}`
  const { client, backend, six } = addressesOf(lab)
  const ip = (...words: readonly string[]) => must(`ip ${words.join(' ')}`, 'ip', words, { capture: true, timeoutMs: MINUTE_MS })
  const removeAll = async () => {
    await run('ip', ['netns', 'delete', name], { capture: true, timeoutMs: MINUTE_MS })
    await run('ip', ['link', 'delete', link], { capture: true, timeoutMs: MINUTE_MS })
  }
  await removeAll()
  await ip('netns', 'add', name)
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  await ip('link', 'set', link, 'master', await bridgeOf(lab), 'up')
  for (const address of [`${client}/24`, `${backend}/24`]) await ip('-n', name, 'address', 'add', address, 'dev', 'eth0')
  if (ipv6) await ip('-n', name, 'address', 'add', `${six(240)}/64`, 'dev', 'eth0', 'nodad')
  await ip('-n', name, 'link', 'set', 'lo', 'up')
  await ip('-n', name, 'link', 'set', 'eth0', 'up')
  if (ipv6) await giveIpv6(lab)
  const within = (...words: readonly string[]) => new Helper(['ip', 'netns', 'exec', name, ...words])
  const node = join(binFolder, 'node')
  const server = within(node, program('backend-process.ts'), backend)
  await server.ready('the backend')
  return {
    async start(load) {
      const cards = await cardsOf(lab)
      const ends = within('perl', program('ends.pl'), 'eth0')
      await ends.ready('the watch of the wire')
      const traffic = within(node, program('traffic-process.ts'), JSON.stringify(load))
      try {
        await traffic.ready('the traffic')
      } catch (error) {
        ends.kill()
        throw error
      }
      return {
        async stop(eventMs) {
          await traffic.end(END_LIMIT_MS)
          await ends.end(5000)
          const last = traffic.lines.at(-1) ?? ''
          if (!last.startsWith('{')) throw new Stop('the traffic ended without figures', last, 'run the event again')
          const seen = JSON.parse(last) as TrafficSeen
          return figuresOf(
            seen,
            ends.lines.flatMap(line => endIn(line, cards)),
            eventMs,
          )
        },
        abandon() {
          traffic.kill()
          ends.kill()
        },
      }
    },
    async close() {
      server.kill()
      await removeAll()
    },
  }
}

function endIn(line: string, cards: ReadonlyMap<string, string>): readonly End[] {
  const [ms, card, how, port] = line.split(' ')
  if (card === undefined || (how !== 'RST' && how !== 'FIN')) return []
  return [{ atMs: Number(ms), from: cards.get(card) ?? card, how, port: Number(port) }]
}

/** Again before each round: a server that was made anew has another card. */
async function cardsOf(lab: LabFile): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    lab.servers.map(async server => [(await inside(server, 'cat /sys/class/net/eth0/address')).stdout.trim(), server.name] as const),
  )
  return new Map(found)
}

async function bridgeOf(lab: LabFile): Promise<string> {
  const { stdout } = await docker('network', 'inspect', '-f', '{{index .Options "com.docker.network.bridge.name"}}', `${lab.project}_lab`)
  return stdout.trim()
}

/** After each boot of a server again. */
export async function giveIpv6(lab: LabFile): Promise<void> {
  const { six } = addressesOf(lab)
  for (const [at, server] of lab.servers.entries()) {
    const { code, stderr } = await inside(
      server,
      `sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.accept_dad=0 && ip -6 address replace ${six(11 + at)}/64 dev eth0 nodad`,
    )
    if (code !== 0) throw new Stop(`${server.name} has no IPv6`, stderr.trim(), 'run it on a machine whose kernel has IPv6')
  }
}
