// Every test, from a bare checkout: node_modules, build, `npm run check`, the lab, the lab's tests, those that differ by release on one.
// `npm test -- --no-lab` leaves the lab out. Exits 0 only when everything ran and passed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bold, bootstrap, checkers, heading, interruption, main, root, run, seconds, Stop, SUITES, withLab } from './bootstrap.mjs'
import { countsIn, reportTo } from './counts.mjs'
import { realPrograms } from './real-programs.mjs'

const MINUTE_MS = 60_000
const CHECK_LIMIT_MS = 8 * MINUTE_MS
const LAB_LIMIT_MS = 45 * MINUTE_MS
const SUITE_LIMIT_MS = 20 * MINUTE_MS

const unknown = process.argv.slice(2).filter(word => word !== '--no-lab')
const withoutLab = process.argv.includes('--no-lab')

/** The npm scripts that `npm run check` consists of: here each runs even when one before it failed. */
function stepsOfCheck() {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return [...scripts.check.matchAll(/npm run -s (\S+)/g)].map(([, name]) => name)
}

async function step(name, timeoutMs, { report, env, args = [] } = {}) {
  heading(`npm run ${name}`)
  const reporters = report === undefined ? [] : ['--', ...reportTo(report)]
  const { code, timedOut, ms } = await run('npm', ['run', '-s', name, ...args, ...reporters], { timeoutMs, env })
  const counts = report === undefined ? undefined : countsIn(report)
  const passed = code === 0 && !timedOut && (report === undefined || counts !== undefined)
  const outcome = timedOut ? `stopped after ${seconds(timeoutMs)}` : passed ? 'passed' : 'failed'
  return { name, outcome, passed, counts, ms }
}

async function testAll(folder) {
  if (unknown.length > 0) throw new Stop(`unknown argument ${unknown.join(' ')}`, 'there is only --no-lab', 'npm test', 3)
  await bootstrap()
  await checkers()
  const steps = []
  for (const name of stepsOfCheck()) {
    if (interruption() !== undefined) return steps
    const tested = name === 'test:fast' ? { report: join(folder, 'fast.json'), env: await realPrograms() } : {}
    const strict = name === 'check:on-server' ? { args: ['--', '--strict'] } : {}
    steps.push(await step(name, CHECK_LIMIT_MS, { ...tested, ...strict }))
  }
  if (withoutLab || interruption() !== undefined) return steps
  await withLab(async () => {
    if (interruption() === undefined) steps.push(await step('test:lab', LAB_LIMIT_MS, { report: join(folder, 'lab.json') }))
  })
  if (interruption() !== undefined) return steps
  // One suite of `npm run test:releases`: the one that is least like the others.
  const suite = SUITES['trixie-rust']
  await withLab(
    async () => {
      const report = join(folder, 'suite.json')
      if (interruption() === undefined) steps.push(await step('test:suite', SUITE_LIMIT_MS, { report, env: suite }))
    },
    { suite },
  )
  return steps
}

function summarise(steps) {
  heading('summary')
  const spoken = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
  for (const { name, outcome, counts, ms } of steps) {
    console.log(`npm run ${name.padEnd(12)} ${outcome} in ${seconds(ms)}${counts === undefined ? '' : `: ${spoken(counts)}`}`)
  }
  if (withoutLab) console.log('npm run test:lab     left out (--no-lab)\nnpm run test:suite   left out (--no-lab)')
  const sum = key => steps.reduce((total, { counts }) => total + (counts?.[key] ?? 0), 0)
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
