// What becomes of people who are connected while an operator works: traffic like traffic through the virtual address, and what of it every planned
// move (and some that nobody planned) cuts, loses and keeps waiting; and who cut it.
//   npm run bench:connections -- [--event drain,undrain,...] [--release bookworm,...] [--rounds N] [--beside HACTL] [--figures FILE] [--once]
// --rounds: so many of each event in all. Rounds of former runs count: their sums are kept, by event, release, build of hactl and
// state of this bench, in FILE.
// --once: one more round of each, whatever there was. --beside: another build of hactl (the dist/hactl.mjs of another checkout), in turn with this one.
import { mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ConnectionEvent, EVENTS, type Hands, type Layout, whyNoRound } from './bench/connections/events.ts'
import { type Figures, renderFigures } from './bench/connections/figures.ts'
import { benchFiles, bundleFiles, fingerprintOf } from './bench/connections/fingerprint.ts'
import { homesOf, inventoryFor, PORTS } from './bench/connections/inventory.ts'
import { type Kept, keptIn } from './bench/connections/kept.ts'
import { addressesOf, giveIpv6, openPlace, type TrafficPlace } from './bench/connections/place.ts'
import type { Load } from './bench/connections/traffic-figures.ts'
import * as contenders from './bench/contenders.ts'
import { type HolderWatch, judgeHolders, settled, sleep, watchHolders, rulesOfEngine } from './bench/failover-lab.ts'
import { buildHactl, type LabFile, SUITES, withLab } from './support/lab.ts'
import { heading } from './support/output.ts'
import { hactlBin, labState } from './support/places.ts'
import { finallyDo, main, messageOf, MINUTE_MS, must, run, Stop, stopIfInterrupted } from './support/process.ts'

/** Traffic before the event, and after all has come to rest. */
const QUIET_MS = 2000
const AFTER_MS = 3000
const AGAIN = 'npm run bench:connections'

interface Settings {
  readonly events: readonly ConnectionEvent[]
  readonly releases: readonly string[]
  readonly rounds: number
  readonly once: boolean
  readonly beside: string | undefined
  readonly figures: string
}

/** Not in the lab's own state folder, which goes when the lab goes down. */
const stateFolder = process.env['XDG_STATE_HOME'] ?? join(homedir(), '.local/state')

function settings(): Settings {
  const picked = (text: string | undefined, known: readonly string[], what: string): readonly string[] => {
    const words = text?.split(',') ?? known
    const unknown = words.find(word => !known.includes(word))
    if (unknown !== undefined) throw new Error(`${what} "${unknown}" is none of: ${known.join(', ')}`)
    return words
  }
  try {
    const { values } = parseArgs({
      options: {
        event: { type: 'string' },
        release: { type: 'string', default: 'bookworm' },
        rounds: { type: 'string', default: '10' },
        once: { type: 'boolean', default: false },
        beside: { type: 'string' },
        figures: { type: 'string', default: join(stateFolder, 'hactl/bench-connections.json') },
      },
    })
    const rounds = Number(values.rounds)
    if (!(Number.isInteger(rounds) && rounds >= 1 && rounds <= 100))
      throw new Error(`--rounds ${values.rounds}: give a number from 1 to 100`)
    const events = picked(
      values.event,
      EVENTS.map(({ name }) => name),
      'event',
    )
    return {
      // Each layout is deployed once.
      events: EVENTS.filter(({ name }) => events.includes(name)).toSorted((a, b) => layoutOf(a).localeCompare(layoutOf(b))),
      releases: picked(values.release, [...SUITES.keys()], 'release'),
      rounds,
      once: values.once,
      beside: values.beside,
      figures: values.figures,
    }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), `${AGAIN} -- --event drain --release bookworm --rounds 10`, 3)
  }
}

const layoutOf = (event: ConnectionEvent): Layout => event.layout ?? 'one'

/** A build of hactl. */
interface Build {
  readonly program: string
  /** What the bundle is, by its content. The commit that last changed what ships in its checkout stands before it, for reading only. */
  readonly version: string
  /** Whether it can wait for what is open. */
  readonly waits: boolean
}

async function buildOf(program: string): Promise<Build> {
  const checkout = dirname(dirname(program))
  const log = ['-C', checkout, 'log', '-1', '--format=%h', '--', 'src', 'playbooks', 'package-lock.json']
  const commit = (await run('git', log, { capture: true })).stdout.trim()
  const help = await run('node', [program, 'drain', '--help'], { capture: true, timeoutMs: MINUTE_MS })
  return { program, version: `${commit || 'bundle'}+${fingerprintOf(bundleFiles(program))}`, waits: help.stdout.includes('--wait') }
}

/** The virtual addresses of a layout, watched. */
class Watches {
  readonly #lab: LabFile
  readonly #watches = new Map<string, HolderWatch>()

  constructor(lab: LabFile) {
    this.#lab = lab
  }

  /** Resolves once the home of each of them alone holds it and all is healthy. */
  async untilHome(layout: Layout): Promise<void> {
    for (const { address, home } of homesOf(this.#lab, layout)) await settled(this.#lab.servers, this.#of(address), home)
  }

  /** How often a server took each of them since then. */
  moves(layout: Layout, sinceMs: number): readonly number[] {
    return homesOf(this.#lab, layout).map(({ address }) => judgeHolders(this.#of(address).events, sinceMs).moves)
  }

  #of(address: string): HolderWatch {
    const known = this.#watches.get(address) ?? watchHolders(this.#lab, address)
    this.#watches.set(address, known)
    return known
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close()
  }
}

/** The lab with what is deployed on it. */
class Bench {
  readonly hands: Hands
  readonly #lab: LabFile
  readonly #inventory = join(labState, 'bench-connections.yml')
  #deployed: { readonly build: Build; readonly layout: Layout } | undefined

  constructor(lab: LabFile, watches: Watches) {
    const [one, two, three] = lab.servers
    if (one === undefined || two === undefined || three === undefined) throw new Error('the lab has no three servers')
    this.#lab = lab
    this.hands = {
      servers: [one, two, three],
      hactl: (...words) => this.#hactl(...words),
      untilHome: () => watches.untilHome(this.#deployed?.layout ?? 'one'),
      rulesOfEngine: async () => {
        const all = await Promise.all(lab.servers.map(rulesOfEngine))
        return async () => {
          for (const putBack of all) await putBack()
        }
      },
      rollOut: variant => {
        this.#write(this.#deployed?.layout ?? 'one', variant)
        return this.#hactl('deploy')
      },
    }
  }

  /** What another build had deployed goes first: this one may not know what that has put there. */
  async deploy(build: Build, layout: Layout): Promise<void> {
    if (this.#deployed?.build === build && this.#deployed.layout === layout) return
    if (this.#deployed !== undefined && this.#deployed.build !== build) await this.#hactl('remove')
    this.#deployed = { build, layout }
    this.#write(layout, 0)
    await this.#hactl('deploy')
  }

  #write(layout: Layout, variant: number): void {
    writeFileSync(this.#inventory, inventoryFor(this.#lab, layout, variant))
  }

  async #hactl(...words: readonly string[]): Promise<unknown> {
    const { program } = this.#deployed?.build ?? { program: hactlBin }
    const [verb = ''] = words
    const file = ['deploy', 'remove'].includes(verb) ? [verb, this.#inventory] : [...words, '--inventory', this.#inventory]
    return await must(`hactl ${words.join(' ')}`, 'node', [program, ...file, '--yes'], { capture: true, timeoutMs: 5 * MINUTE_MS })
  }
}

function loadFor(lab: LabFile, event: ConnectionEvent): Load {
  return {
    host: layoutOf(event) === 'ipv6' ? addressesOf(lab).vip6 : lab.vip,
    ports: PORTS,
    openWild: 50,
    openNamed: 50,
    upgraded: 10,
    keptAlive: 20,
    perSecond: 150,
    downloads: 2,
    uploads: 1,
    transferBytes: 200_000_000,
    transferMs: 14_000,
    ...event.load,
  }
}

async function round(lab: LabFile, place: TrafficPlace, watches: Watches, event: ConnectionEvent, hands: Hands): Promise<Figures> {
  await hands.untilHome()
  await giveIpv6(lab)
  const work = async () => {
    await event.before?.(hands)
    if (event.startsAway === true) await sleep(QUIET_MS)
    const traffic = await place.start(loadFor(lab, event))
    try {
      await sleep(QUIET_MS)
      const eventMs = Date.now()
      await event.act(hands)
      await sleep(AFTER_MS)
      const moves = watches.moves(layoutOf(event), eventMs)
      const why = whyNoRound(event, moves)
      if (why !== undefined) throw new Stop('a round does not count', why, AGAIN)
      return { ...(await traffic.stop(eventMs)), moves: moves.reduce((sum, one) => sum + one, 0) }
    } finally {
      traffic.abandon()
    }
  }
  return await finallyDo(work, async () => await event.after?.(hands))
}

async function release(suite: string, builds: readonly Build[], { events, rounds, once }: Settings, kept: Kept): Promise<void> {
  await withLab(
    async lab => {
      // hactl remove takes packages away that hactl has installed.
      if (builds.length > 1) await contenders.installOverSsh(lab)
      const place = await openPlace(lab, { ipv6: true })
      const watches = new Watches(lab)
      try {
        const bench = new Bench(lab, watches)
        for (let at = 0; at < (once ? 1 : rounds); at++) {
          // A build is taken off the servers and another deployed once a round of all events.
          for (const build of builds) {
            for (const event of events) {
              if (event.waits === true && !build.waits) continue
              stopIfInterrupted('the rounds before are kept', AGAIN)
              const subject = { event: event.name, suite, version: build.version }
              if (!once && (kept.of(subject)?.rounds ?? 0) > at) continue
              await bench.deploy(build, layoutOf(event))
              const seen = await round(lab, place, watches, event, bench.hands)
              const sum = kept.add(subject, seen)
              console.log(
                `${event.name}, ${suite}, ${build.version}, round ${sum.rounds}: ${renderFigures(seen)}${event.moves === 'none' && seen.moves > 0 ? ' (they should stay)' : ''}`,
              )
            }
          }
        }
      } finally {
        watches.close()
        await place.close()
      }
    },
    { suite: SUITES.get(suite) },
  )
}

await main(async () => {
  const chosen = settings()
  const bench = fingerprintOf(benchFiles())
  const kept = keptIn(chosen.figures, bench)
  mkdirSync(labState, { recursive: true })
  await buildHactl()
  const builds = await Promise.all([...(chosen.beside === undefined ? [] : [chosen.beside]), hactlBin].map(buildOf))
  try {
    for (const suite of chosen.releases) await release(suite, builds, chosen, kept)
  } finally {
    heading(`sums of all rounds of this bench (${bench}), kept in ${chosen.figures}`)
    for (const { name: event } of chosen.events)
      for (const suite of chosen.releases)
        for (const { version } of builds) {
          const sum = kept.of({ event, suite, version })
          if (sum !== undefined) console.log(`${event}, ${suite}, ${version}, ${sum.rounds} rounds: ${renderFigures(sum)}`)
        }
  }
})
