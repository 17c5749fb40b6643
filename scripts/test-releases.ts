// What differs by release (test/releases), on every suite that the lab has, one after the other.
//   npm run test:releases -- [--only SUITE,...]
// A lab that is up gets those servers meanwhile, and its own back at the end. Exits 0 only when every suite that was asked for passed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildHactl, SUITES, withLab } from './support/lab.ts'
import { bold, heading, seconds } from './support/output.ts'
import { interruption, main, messageOf, MINUTE_MS, run, Stop } from './support/process.ts'
import { type Counts, countsIn, reportTo } from './support/vitest-report.ts'

const SUITE_LIMIT_MS = 30 * MINUTE_MS
const USAGE = 'npm run test:releases -- --only trixie,trixie-rust'

function chosen(): readonly string[] {
  let only: string | undefined
  try {
    only = parseArgs({ options: { only: { type: 'string' } } }).values.only
  } catch (error) {
    throw new Stop('the arguments are wrong', messageOf(error), USAGE, 3)
  }
  const known = [...SUITES.keys()]
  const names = only?.split(',') ?? known
  const unknown = names.find(name => !known.includes(name))
  if (unknown !== undefined) throw new Stop(`the lab has no suite "${unknown}"`, `it has ${known.join(', ')}`, USAGE, 3)
  return names
}

interface Result {
  readonly name: string
  readonly outcome: string
  readonly passed: boolean
  readonly counts: Counts | undefined
  readonly ms: number
}

/** A lab that does not come up is that suite's failure: the others are tested all the same. */
async function testSuite(name: string, folder: string): Promise<Result> {
  const suite = SUITES.get(name)
  heading(name)
  const report = join(folder, `${name}.json`)
  const began = performance.now()
  try {
    const ended = await withLab(
      () => run('vitest', ['run', '--project', 'releases', ...reportTo(report)], { timeoutMs: SUITE_LIMIT_MS, env: suite ?? {} }),
      { suite },
    )
    const counts = countsIn(report)
    const passed = ended.code === 0 && !ended.timedOut && counts !== undefined && counts.passed > 0 && counts.failed === 0
    const outcome = passed ? 'passed' : ended.timedOut ? `stopped after ${seconds(SUITE_LIMIT_MS)}` : 'failed'
    return { name, outcome, passed, counts, ms: performance.now() - began }
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    console.error(error.message)
    const outcome = interruption() === undefined ? 'lab failed' : 'interrupted'
    return { name, outcome, passed: false, counts: undefined, ms: performance.now() - began }
  }
}

function printTable(names: readonly string[], results: readonly Result[]): boolean {
  heading('summary')
  const row = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, column) => (column < 2 ? String(cell).padEnd(20) : String(cell).padStart(8))).join(' '))
  row(['suite', 'outcome', 'passed', 'failed', 'skipped', 'time'])
  for (const name of names) {
    const result = results.find(one => one.name === name)
    const { passed, failed, skipped } = result?.counts ?? { passed: '-', failed: '-', skipped: '-' }
    row([name, result?.outcome ?? 'not run', passed, failed, skipped, result === undefined ? '-' : seconds(result.ms)])
  }
  const good = results.filter(({ passed }) => passed).length
  console.log(bold(`${good} of ${names.length} suites passed`))
  return good === names.length
}

await main(async () => {
  const names = chosen()
  await buildHactl()
  const folder = mkdtempSync(join(tmpdir(), 'hactl-releases-'))
  const results: Result[] = []
  try {
    for (const name of names) {
      if (interruption() !== undefined) break
      results.push(await testSuite(name, folder))
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return printTable(names, results) ? 0 : 1
})
