/** A network namespace with a card on the lab's bridge, and the programs in it. Only root can make one. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { LabFile } from '../support/lab.ts'
import { MINUTE_MS, must, run, Stop } from '../support/process.ts'
import { docker } from './failover-lab.ts'

const START_LIMIT_MS = 30_000

/** A program that says "ready" and ends with its stdin, so with this script, too. */
export class Helper {
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

export interface Namespace {
  readonly name: string
  /** Starts a program inside. */
  start(...words: readonly string[]): Helper
  remove(): Promise<void>
}

/** A checkout has one at a time: what a run before has left behind goes first. `addresses` have their prefix length: "198.18.1.240/24". */
export async function openNamespace(lab: LabFile, addresses: readonly string[]): Promise<Namespace> {
  const name = `${lab.project}-people`
  const link = `hp-${lab.project.slice(-8)}`
  const ip = (...words: readonly string[]) => must(`ip ${words.join(' ')}`, 'ip', words, { capture: true, timeoutMs: MINUTE_MS })
  const remove = async () => {
    await run('ip', ['netns', 'delete', name], { capture: true, timeoutMs: MINUTE_MS })
    await run('ip', ['link', 'delete', link], { capture: true, timeoutMs: MINUTE_MS })
  }
  await remove()
  await ip('netns', 'add', name)
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  await ip('link', 'set', link, 'master', await bridgeOf(lab), 'up')
  for (const address of addresses)
    await ip('-n', name, 'address', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []))
  await ip('-n', name, 'link', 'set', 'lo', 'up')
  await ip('-n', name, 'link', 'set', 'eth0', 'up')
  return { name, start: (...words) => new Helper(['ip', 'netns', 'exec', name, ...words]), remove }
}

async function bridgeOf(lab: LabFile): Promise<string> {
  const { stdout } = await docker('network', 'inspect', '-f', '{{index .Options "com.docker.network.bridge.name"}}', `${lab.project}_lab`)
  return stdout.trim()
}
