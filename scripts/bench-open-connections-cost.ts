// What keeping open connections costs: CPU for a request of 1 kB with the rules and without, and a move with very many open connections.
//   npm run bench:open-connections-cost -- [--only requests|connections] [--rounds N] [--seconds N] [--connections N] [--release bookworm|trixie]
// Nothing else may run on the machine: a veth's packet is received in the softirq of whoever sent it, so the honest figure is the CPU of the whole
// machine, clients included. Exits with 1 where a figure is above its bar.
import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { openNamespace } from './bench/client-namespace.ts'
import { AGAIN, CostLab } from './bench/open-connections-cost/cost-lab.ts'
import type { Judged } from './bench/open-connections-cost/figures.ts'
import { clientAddresses, measureMany, planConnections } from './bench/open-connections-cost/many.ts'
import { measureRequests } from './bench/open-connections-cost/requests.ts'
import { installProgram } from './support/checkers.ts'
import { buildHactl, SUITES, withLab } from './support/lab.ts'
import { heading } from './support/output.ts'
import { labState } from './support/places.ts'
import { main, messageOf, Stop } from './support/process.ts'

/** HAProxy 2.2 of Debian 11 does not know close-spread-time. */
const RELEASES = ['bookworm', 'trixie']
const PARTS = ['requests', 'connections']

interface Settings {
  readonly parts: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
  readonly release: string
}

function settings(): Settings {
  const whole = (name: string, text: string, least: number, most: number) => {
    const number = Number(text)
    if (!(Number.isInteger(number) && number >= least && number <= most))
      throw new Error(`--${name} ${text}: give a number from ${least} to ${most}`)
    return number
  }
  const one = (name: string, text: string, known: readonly string[]) => {
    if (!known.includes(text)) throw new Error(`--${name} ${text} is none of: ${known.join(', ')}`)
    return text
  }
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string' },
        rounds: { type: 'string', default: '9' },
        seconds: { type: 'string', default: '8' },
        connections: { type: 'string', default: '100000' },
        release: { type: 'string', default: 'bookworm' },
      },
    })
    return {
      parts: values.only === undefined ? PARTS : [one('only', values.only, PARTS)],
      rounds: whole('rounds', values.rounds, 1, 50),
      seconds: whole('seconds', values.seconds, 1, 60),
      connections: whole('connections', values.connections, 100, 300_000),
      release: one('release', values.release, RELEASES),
    }
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), `${AGAIN} -- --rounds 9 --connections 100000`, 3)
  }
}

await main(async () => {
  const { parts, rounds, seconds, connections, release } = settings()
  if (parts.includes('requests')) await installProgram('wrk', 'it makes the requests')
  mkdirSync(labState, { recursive: true })
  await buildHactl()
  const judged: Judged[] = []
  await withLab(
    async lab => {
      const place = await openNamespace(
        lab,
        clientAddresses(lab.prefix).map(address => `${address}/24`),
      )
      try {
        const bench = new CostLab(lab, place)
        const plan = await planConnections(bench, connections)
        await bench.deploy(plan.haproxy)
        await bench.switch(true)
        heading(
          `load of the machine: ${loadavg()
            .map(load => load.toFixed(2))
            .join(', ')} (1, 5 and 15 minutes)`,
        )
        if (parts.includes('requests')) judged.push(...(await measureRequests(bench, rounds, seconds)))
        if (parts.includes('connections')) judged.push(...(await measureMany(bench, plan)))
      } finally {
        await place.remove()
      }
    },
    { suite: SUITES.get(release) },
  )
  heading(`Debian ${release}`)
  for (const { what, seen, bar, isMet } of judged) console.log(`${isMet ? 'met   ' : 'MISSED'} ${what}: ${seen}; at most ${bar}`)
  return judged.every(({ isMet }) => isMet) ? 0 : 1
})
