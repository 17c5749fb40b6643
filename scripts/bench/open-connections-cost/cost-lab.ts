/** The lab with hactl's servers on it, their rules switched on and off, and the clients' network namespace. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabFile } from '../../support/lab.ts'
import { hactlBin, labState } from '../../support/places.ts'
import { MINUTE_MS, must, run, Stop, stopIfInterrupted } from '../../support/process.ts'
import type { Namespace } from '../client-namespace.ts'
import { inside, sleep } from '../failover-lab.ts'
import { inventoryFor, type Limits } from './inventory.ts'

type Server = LabFile['servers'][number]

const PROGRAM = '/usr/local/lib/hactl/open-connections.pl'
const TOOL = '/usr/local/sbin/hactl-open-connections'
const PROVEN_LIMIT_MS = MINUTE_MS

export const AGAIN = 'npm run bench:open-connections-cost'

export class CostLab {
  readonly lab: LabFile
  readonly holder: Server
  readonly place: Namespace
  readonly #inventory = join(labState, 'bench-open-connections-cost.yml')

  constructor(lab: LabFile, place: Namespace) {
    const [holder] = lab.servers
    if (holder === undefined) throw new Error('the lab has no servers')
    this.lab = lab
    this.holder = holder
    this.place = place
  }

  async deploy(limits: Limits): Promise<void> {
    writeFileSync(this.#inventory, inventoryFor(this.lab, limits))
    await this.#hactl('deploy', this.#inventory)
  }

  async drain(): Promise<void> {
    await this.#hactl('drain', this.holder.name, '--inventory', this.#inventory)
  }

  async undrain(): Promise<void> {
    await this.#hactl('undrain', this.holder.name, '--inventory', this.#inventory)
  }

  async #hactl(...words: readonly string[]): Promise<void> {
    await must(`hactl ${words[0]}`, 'node', [hactlBin, ...words, '--yes'], { capture: true, timeoutMs: 5 * MINUTE_MS })
  }

  /** A shell line as root inside a server, which must exit 0. Gives what it prints. */
  async inside(server: Server, line: string): Promise<string> {
    const { code, stdout, stderr } = await inside(server, line)
    if (code !== 0) throw new Stop(`${server.name}: ${line}`, `exit ${code}: ${stderr.trim() || stdout.trim()}`, 'test/lab/lab status')
    return stdout
  }

  /** On: rules and service on all servers, and each can send packets on to each other one. Off: no service, no rules, no address prepared. */
  async switch(on: boolean): Promise<void> {
    await Promise.all(this.lab.servers.map(server => this.inside(server, `${TOOL} ${on ? 'open' : 'close'}`)))
    const peers = this.lab.servers.length - 1
    const line = on
      ? `${PROGRAM} status | awk '/^rules (missing|refused)/ { exit 1 } /^proven .* yes$/ { n++ } END { exit n != ${peers} }'`
      : '! nft list tables | grep -qw hactl'
    const until = performance.now() + PROVEN_LIMIT_MS
    for (const server of this.lab.servers) {
      while ((await inside(server, line)).code !== 0) {
        stopIfInterrupted('no figures', AGAIN)
        if (performance.now() > until)
          throw new Stop(
            on ? `${server.name} cannot send packets on to the others` : `${server.name} still has its rules`,
            `not within ${PROVEN_LIMIT_MS / 1000} s`,
            `test/lab/lab ssh ${server.name} ${PROGRAM} status`,
          )
        await sleep(300)
      }
    }
  }

  /** A command in the clients' namespace. */
  async outside(...words: readonly string[]): Promise<string> {
    const { stdout } = await must(words.join(' '), 'ip', ['netns', 'exec', this.place.name, ...words], {
      capture: true,
      timeoutMs: MINUTE_MS,
    })
    return stdout
  }

  /** The numbers by which cgroups name the lab's containers. Again after each start of one. */
  async containers(): Promise<readonly string[]> {
    const { stdout } = await run('docker', ['ps', '-q', '--no-trunc', '--filter', `label=com.docker.compose.project=${this.lab.project}`], {
      capture: true,
      timeoutMs: MINUTE_MS,
    })
    return stdout.split('\n').filter(line => line !== '')
  }

  /** The number by which cgroups name this one. */
  async containerOf(server: Server): Promise<string> {
    const { stdout } = await must('docker inspect', 'docker', ['inspect', '-f', '{{.Id}}', server.container], {
      capture: true,
      timeoutMs: MINUTE_MS,
    })
    return stdout.trim()
  }
}
