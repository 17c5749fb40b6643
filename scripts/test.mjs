// Every test, from a bare checkout: node_modules, build, `npm run check`, the lab, the lab's tests.
// `npm test -- --no-lab` leaves the lab out. Exits 0 only when everything ran and passed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bold, bootstrap, heading, interruption, main, run, seconds, Stop, withLab } from './bootstrap.mjs'

const MINUTE_MS = 60_000
const CHECK_LIMIT_MS = 8 * MINUTE_MS
const LAB_LIMIT_MS = 20 * MINUTE_MS

const unknown = process.argv.slice(2).filter(word => word !== '--no-lab')
const withoutLab = process.argv.includes('--no-lab')

/** What vitest's JSON report counts. A file that could not even be loaded has no tests: it counts as one that failed. */
function countsIn(file) {
  let report
  try {
    report = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
  const broken = report.testResults.filter(suite => suite.status === 'failed' && suite.assertionResults.length === 0).length
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken, skipped: report.numPendingTests + report.numTodoTests }
}

async function tested(title, command, args, timeoutMs, folder) {
  const report = join(folder, `${title.replaceAll(/\W+/g, '-')}.json`)
  const result = await run(command, [...args, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], { timeoutMs })
  const counts = countsIn(report)
  const outcome = result.timedOut
    ? `stopped after ${seconds(timeoutMs)}`
    : counts === undefined
      ? 'failed before its tests ran'
      : result.code === 0
        ? 'passed'
        : 'failed'
  return { title, outcome, passed: result.code === 0 && !result.timedOut, counts, ms: result.ms }
}

async function testAll(folder) {
  if (unknown.length > 0) throw new Stop(`unknown argument ${unknown.join(' ')}`, 'there is only --no-lab', 'npm test', 3)
  await bootstrap()
  const parts = []
  heading('npm run check: types, lint, format, fast tests')
  parts.push(await tested('npm run check', 'npm', ['run', '-s', 'check', '--'], CHECK_LIMIT_MS, folder))
  if (!withoutLab && interruption() === undefined) {
    await withLab(async () => {
      if (interruption() !== undefined) return
      heading('npm run test:lab: the tests on three real servers')
      parts.push(await tested('npm run test:lab', 'npm', ['run', '-s', 'test:lab', '--'], LAB_LIMIT_MS, folder))
    })
  }
  return parts
}

function summarise(parts) {
  heading('summary')
  for (const { title, outcome, counts, ms } of parts) {
    const said =
      counts === undefined
        ? ''
        : `: ${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}`
    console.log(`${title} ${outcome} in ${seconds(ms)}${said}`)
  }
  if (withoutLab) console.log('npm run test:lab was left out (--no-lab)')
  const sum = key => parts.reduce((total, { counts }) => total + (counts?.[key] ?? 0), 0)
  const skipped = sum('skipped')
  console.log(bold(`tests: ${sum('passed')} passed, ${sum('failed')} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`))
}

await main(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hactl-test-'))
  try {
    const parts = await testAll(folder)
    summarise(parts)
    return parts.every(part => part.passed) ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
