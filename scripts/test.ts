// Every test, from a bare checkout: node_modules, build, what `npm run check` runs, the lab, the lab's tests, those that differ by release on one.
// `npm test -- --no-lab` leaves the lab out. Exits 0 only when everything ran and passed.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realPrograms } from './real-programs.ts'
import { installCheckers } from './support/checkers.ts'
import { CHECKS, FAST_TESTS } from './support/checks.ts'
import { buildHactl, SUITES, withLab } from './support/lab.ts'
import { bold, heading, seconds } from './support/output.ts'
import { interruption, main, MINUTE_MS, run, Stop } from './support/process.ts'
import { type Counts, countsIn, reportTo, type Skipped } from './support/vitest-report.ts'

const CHECK_LIMIT_MS = 8 * MINUTE_MS
const LAB_LIMIT_MS = 45 * MINUTE_MS
const SUITE_LIMIT_MS = 20 * MINUTE_MS

const unknown = process.argv.slice(2).filter(word => word !== '--no-lab')
const withoutLab = process.argv.includes('--no-lab')

interface Step {
  readonly name: string
  readonly outcome: string
  readonly passed: boolean
  readonly counts: Counts | undefined
  readonly ms: number
}

interface Tested {
  /** Where vitest writes its report. */
  readonly report?: string
  readonly env?: Readonly<Record<string, string>> | undefined
}

async function step(name: string, timeoutMs: number, { report, env = {} }: Tested = {}): Promise<Step> {
  heading(`npm run ${name}`)
  const reporters = report === undefined ? [] : ['--', ...reportTo(report)]
  const { code, timedOut, ms } = await run('npm', ['run', '-s', name, ...reporters], { timeoutMs, env })
  const counts = report === undefined ? undefined : countsIn(report)
  const passed = code === 0 && !timedOut && (report === undefined || counts !== undefined)
  const outcome = timedOut ? `stopped after ${seconds(timeoutMs)}` : passed ? 'passed' : 'failed'
  return { name, outcome, passed, counts, ms }
}

async function testAll(folder: string): Promise<readonly Step[]> {
  if (unknown.length > 0) throw new Stop(`unknown argument ${unknown.join(' ')}`, 'the only argument is --no-lab', 'npm test', 3)
  await buildHactl()
  await installCheckers()
  const steps: Step[] = []
  // One after the other: here each prints for itself.
  for (const name of CHECKS) {
    if (interruption() !== undefined) return steps
    const tested = name === FAST_TESTS ? { report: join(folder, 'fast.json'), env: await realPrograms() } : {}
    steps.push(await step(name, CHECK_LIMIT_MS, tested))
  }
  if (withoutLab || interruption() !== undefined) return steps
  await withLab(async () => {
    if (interruption() === undefined) steps.push(await step('test:lab', LAB_LIMIT_MS, { report: join(folder, 'lab.json') }))
  })
  if (interruption() !== undefined) return steps
  // One suite of `npm run test:releases`: the one that is least like the others.
  const suite = SUITES.get('trixie-rust')
  await withLab(
    async () => {
      const report = join(folder, 'suite.json')
      if (interruption() === undefined) steps.push(await step('test:suite', SUITE_LIMIT_MS, { report, env: suite }))
    },
    { suite },
  )
  return steps
}

const NAMES_SHOWN = 3

function tellSkipped({ file, names, why }: Skipped): void {
  console.log(`skipped: ${names.length} of ${file}: ${why ?? 'the test does not say why'}`)
  for (const name of names.slice(0, NAMES_SHOWN)) console.log(`         ${name}`)
  if (names.length > NAMES_SHOWN) console.log(`         and ${names.length - NAMES_SHOWN} more like them`)
}

function summarise(steps: readonly Step[]): void {
  heading('summary')
  const spoken = ({ passed, failed, skipped }: Omit<Counts, 'notRun'>) =>
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
  for (const { name, outcome, counts, ms } of steps) {
    console.log(`npm run ${name.padEnd(12)} ${outcome} in ${seconds(ms)}${counts === undefined ? '' : `: ${spoken(counts)}`}`)
  }
  if (withoutLab) console.log('npm run test:lab     skipped (--no-lab)\nnpm run test:suite   skipped (--no-lab)')
  for (const { counts } of steps) counts?.notRun.forEach(tellSkipped)
  const sum = (key: 'passed' | 'failed' | 'skipped') => steps.reduce((total, { counts }) => total + (counts?.[key] ?? 0), 0)
  console.log(bold(`tests: ${spoken({ passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') })}`))
}

await main(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hactl-test-'))
  try {
    const steps = await testAll(folder)
    summarise(steps)
    return steps.every(({ passed }) => passed) ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
