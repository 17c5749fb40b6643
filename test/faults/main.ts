/**
 * What faults cost, on the lab. Started by scripts/test-faults.mjs, which brings the lab up:
 *   npm run test:faults -- [--only ROW,...] [-n TIMES] [--seed N] [--minutes N] [--write]
 * Without -n every row is tried as often as the table promises, and docs/reliability.md gets the figures.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openWorkspace } from '../e2e/support/hactl.ts'
import { openLab, root } from '../e2e/support/lab.ts'
import { seededRandom } from '../inventory/random.ts'
import { inventoryOf, makeWell, nextConfig } from './cluster.ts'
import { type Row, type RowResult, sumUp, type Tried, type World } from './row.ts'
import { ROWS } from './rows.ts'
import { renewTable } from './table.ts'

const DOCUMENT = join(root, 'docs/reliability.md')
const MINUTE_MS = 60_000

interface Settings {
  readonly rows: readonly Row[]
  readonly times: number | undefined
  readonly seed: number
  readonly minutes: number
  readonly writes: boolean
}

function settings(): Settings {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      times: { type: 'string', short: 'n' },
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '180' },
      write: { type: 'boolean', default: false },
    },
  })
  const names = values.only?.split(',')
  const unknown = names?.find(name => !ROWS.some(row => row.name === name))
  if (unknown !== undefined) throw new Error(`no row is called ${unknown}: ${ROWS.map(row => row.name).join(', ')}`)
  const whole = (text: string, least: number, most: number) => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < least || value > most) throw new Error(`${text}: a whole number from ${least} to ${most}`)
    return value
  }
  return {
    rows: ROWS.filter(row => names === undefined || names.includes(row.name)),
    times: values.times === undefined ? undefined : whole(values.times, 1, 1000),
    seed: whole(values.seed, 0, 4_294_967_295),
    minutes: whole(values.minutes, 1, 600),
    writes: values.write || values.times === undefined,
  }
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

async function runRow(row: Row, times: number, world: World, log: (text: string) => void): Promise<RowResult> {
  world.say(`== ${row.name}: ${row.title}, ${times} times`)
  const tries: Tried[] = []
  await makeWell(world)
  const { attempt, close } = await row.open(world)
  try {
    for (let n = 1; n <= times && !world.isTimeUp(); n++) {
      const startedMs = performance.now()
      let tried: Tried
      try {
        tried = await attempt(n)
      } catch (error) {
        tried = { probes: 0, lost: 0, broken: [error instanceof Error ? error.message : String(error)], hung: [] }
      }
      tries.push(tried)
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      const verdict = tried.broken.length + tried.hung.length === 0 ? 'whole' : 'BROKEN'
      world.say(
        `${row.name} ${n}/${times} ${verdict} in ${seconds} s, ${tried.lost} of ${tried.probes} lost, ${JSON.stringify(tried.counts ?? {})}`,
      )
      for (const text of [...tried.broken, ...tried.hung]) {
        world.say(`   ${text.slice(0, 600)}`)
        log(`${row.name} ${n}: ${text}`)
      }
      if (verdict !== 'whole') await makeWell(world)
    }
  } finally {
    await close?.()
  }
  return sumUp(row, tries)
}

async function main(): Promise<number> {
  const { rows, times, seed, minutes, writes } = settings()
  const lab = openLab()
  const endMs = performance.now() + minutes * MINUTE_MS
  const log = (text: string) => appendFileSync(join(root, '.lab/faults.log'), `${new Date().toISOString()} ${text}\n`)
  const say = (text: string) => {
    process.stdout.write(`${text}\n`)
    log(text)
  }
  const results: RowResult[] = []
  for (const row of rows) {
    if (performance.now() > endMs || interrupted.signal.aborted) break
    // A workspace for every row, and a seed of its own: --only gives a row the same faults as the whole run.
    const work = openWorkspace({})
    const world: World = {
      lab,
      work,
      random: seededRandom(seed),
      say,
      isTimeUp: () => performance.now() > endMs || interrupted.signal.aborted,
    }
    work.writeInventory(inventoryOf(world, nextConfig()))
    try {
      const result = await runRow(row, times ?? row.times, world, log)
      results.push(result)
      if (writes && result.tried > 0) {
        const occasion = { date: new Date().toISOString().slice(0, 10), release: lab.release, seed }
        const titles = ROWS.map(each => each.title)
        writeFileSync(DOCUMENT, renewTable(readFileSync(DOCUMENT, 'utf8'), [result], occasion, titles))
      }
    } finally {
      work.remove()
    }
  }
  say('')
  for (const { name, tried, probes, lost, broken, hung, also } of results)
    say(`${name.padEnd(14)} tried ${tried}, lost ${lost} of ${probes}, broken ${broken.length}, hung ${hung.length}; ${also}`)
  return results.some(result => result.broken.length + result.hung.length + result.lost > 0) ? 1 : 0
}

process.exitCode = await main()
