// What a run of vitest counted, as `npm test` and `npm run test:releases` tell it.
import { readFileSync } from 'node:fs'

/** From vitest's JSON report; undefined where there is none. A file that could not even be loaded has no tests: it counts as one that failed. */
export function countsIn(file) {
  let report
  try {
    report = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
  const broken = report.testResults.filter(suite => suite.status === 'failed' && suite.assertionResults.length === 0).length
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken, skipped: report.numPendingTests + report.numTodoTests }
}

/** The flags with which vitest prints as usual and writes that report as well. */
export const reportTo = file => ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
