import { readFileSync } from 'node:fs'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly unknown[]
  }[]
}

/** Arguments of vitest that write a JSON report beside what it prints. */
export function reportTo(file: string): readonly string[] {
  return ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
}

/** What vitest's JSON report counts; undefined where there is none. A file that could not even be loaded has no tests: it counts as one that failed. */
export function countsIn(file: string): Counts | undefined {
  let report: VitestReport
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
  const broken = report.testResults.filter(suite => suite.status === 'failed' && suite.assertionResults.length === 0).length
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken, skipped: report.numPendingTests + report.numTodoTests }
}
