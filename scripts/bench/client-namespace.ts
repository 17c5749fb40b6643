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

  /** Stops where it has ended, or `limitMs` have passed, without having said that it is ready. */
  async ready(what: string, limitMs = START_LIMIT_MS): Promise<void> {
    await this.#line(`${what} did not start`, line => line === 'ready', 0, limitMs)
  }

  /** Writes a line to its stdin, and gives the next one that it says. Stops as ready() does. */
  async ask(what: string, line: string, limitMs: number): Promise<string> {
    const from = this.lines.length
    this.#child.stdin.write(`${line}\n`)
    return await this.#line(`${what} did not answer`, () => true, from, limitMs)
  }

  async #line(failure: string, isIt: (line: string) => boolean, from: number, limitMs: number): Promise<string> {
    const until = performance.now() + limitMs
    let code: number | null | undefined
    void this.#closed.then(
      ended => (code = ended),
      () => (code = null),
    )
    while (true) {
      const line = this.lines.slice(from).find(isIt)
      if (line !== undefined) return line
      if (code !== undefined || performance.now() > until) {
        this.kill()
        throw new Stop(failure, `${this.#stderr || `nothing within ${limitMs / 1000} s`}\n${this.lines.join('\n')}`, 'test/lab/lab status')
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  /** Waits until it has ended by itself. */
  async ended(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.kill(), limitMs)
    await this.#closed
    clearTimeout(timer)
  }

  /** Asks it to end, and waits for that. */
  async end(limitMs: number): Promise<void> {
    this.#child.stdin.end()
    await this.ended(limitMs)
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
