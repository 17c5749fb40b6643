/**
 * What faults cost, on the lab. Started by scripts/test-faults.ts, which brings the lab up:
 *   npm run test:faults -- [--only ROW,...] [-n TIMES] [--seed N] [--minutes N] [--write]
 * --check only says what is wrong with these words, before the lab is there. Without -n every row is tried as often as the table promises, and docs/reliability.md gets the figures.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openWorkspace } from '../e2e/support/hactl.ts'
import { openLab, root } from '../e2e/support/lab.ts'
import { seededRandom } from '../inventory/random.ts'
import { makeWell } from './cluster.ts'
import { type Row, type RowResult, sumUp, type Tried, type World } from './row.ts'
import { ROWS } from './rows.ts'
import { renewTable } from './table.ts'

const DOCUMENT = join(root, 'docs/reliability.md')
const MINUTE_MS = 60_000
/** Every row in so many parts, one row after the other: a run whose time is up has tried them all. */
const ROUNDS = 5

const USAGE = `npm run test:faults -- [--only ROW,...] [-n TIMES] [--seed N] [--minutes N] [--write]
rows: ${ROWS.map(row => row.name).join(', ')}`

interface Settings {
  readonly rows: readonly Row[]
  readonly times: number | undefined
  readonly seed: number
  readonly minutes: number
  readonly writes: boolean
  readonly isCheck: boolean
}

function settings(): Settings {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      times: { type: 'string', short: 'n' },
      seed: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '180' },
      write: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
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
    isCheck: values.check,
  }
}

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

/** Whether the last row left the servers as they should be: then the next row need not check it. */
let isWell = false

/** Makes the tries of a row from one number up to another, and adds their results. */
async function runRow(row: Row, from: number, to: number, tries: Tried[], world: World, log: (text: string) => void): Promise<void> {
  world.say(`== ${row.name}: ${row.title}, ${from} to ${to}`)
  if (!isWell) await makeWell(world)
  isWell = false
  const { attempt, close } = await row.open(world)
  try {
    for (let n = from; n <= to && !world.isTimeUp(); n++) {
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
      world.say(`${row.name} ${n} ${verdict} in ${seconds} s, ${tried.lost} of ${tried.probes} lost, ${JSON.stringify(tried.counts ?? {})}`)
      for (const text of [...tried.broken, ...tried.hung]) {
        world.say(`   ${text.slice(0, 600)}`)
        log(`${row.name} ${n}: ${text}`)
      }
      if (verdict !== 'whole') await makeWell(world)
    }
  } finally {
    await close?.()
  }
  isWell = true
}

async function main(): Promise<number> {
  let chosen: Settings
  try {
    chosen = settings()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
    return 1
  }
  const { rows, times, seed, minutes, writes, isCheck } = chosen
  if (isCheck) return 0
  const lab = openLab()
  const endMs = performance.now() + minutes * MINUTE_MS
  const log = (text: string) => appendFileSync(join(root, '.lab/faults.log'), `${new Date().toISOString()} ${text}\n`)
  const say = (text: string) => {
    process.stdout.write(`${text}\n`)
    log(text)
  }
  const tries = new Map<Row, Tried[]>(rows.map(row => [row, []]))
  const worlds = new Map<Row, World>()
  const isTimeUp = () => performance.now() > endMs || interrupted.signal.aborted
  const resultOf = (row: Row): RowResult => sumUp(row, tries.get(row) ?? [])
  const rounds = times === undefined ? ROUNDS : 1
  for (let round = 0; round < rounds && !isTimeUp(); round++) {
    for (const row of rows) {
      if (isTimeUp()) break
      // A seed of its own: --only gives a row the same faults as the whole run.
      const world = worlds.get(row) ?? { lab, work: openWorkspace({}), random: seededRandom(seed), say, isTimeUp }
      worlds.set(row, world)
      const all = times ?? row.times
      const before = Math.floor((all * round) / rounds)
      const after = Math.floor((all * (round + 1)) / rounds)
      if (after > before) await runRow(row, before + 1, after, tries.get(row) ?? [], world, log)
      const result = resultOf(row)
      if (writes && result.tried > 0) {
        const occasion = { date: new Date().toISOString().slice(0, 10), release: lab.release, seed }
        const titles = ROWS.map(each => each.title)
        writeFileSync(DOCUMENT, renewTable(readFileSync(DOCUMENT, 'utf8'), [result], occasion, titles))
      }
    }
  }
  for (const { work } of worlds.values()) work.remove()
  const results = rows.map(resultOf)
  say('')
  for (const { name, tried, probes, lost, broken, hung, also } of results)
    say(`${name.padEnd(14)} tried ${tried}, lost ${lost} of ${probes}, broken ${broken.length}, hung ${hung.length}; ${also}`)
  return results.some(result => result.broken.length + result.hung.length + result.lost > 0) ? 1 : 0
}

process.exitCode = await main()
