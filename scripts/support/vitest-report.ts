import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { root } from './places.ts'

/** Tests of one file that did not run, all for one reason. */
export interface Skipped {
  readonly file: string
  readonly names: readonly string[]
  /** "this machine has no flock"; undefined where the test does not say. */
  readonly why: string | undefined
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly notRun: readonly Skipped[]
}

interface TestResult {
  readonly fullName: string
  readonly status: string
  /** `lacks` is test/support/lacking.ts's. */
  readonly meta: { readonly lacks?: string }
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly TestResult[]
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
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
    notRun: report.testResults.flatMap(({ name, assertionResults }) => notRunIn(relative(root, name), assertionResults)),
  }
}

const NOT_RUN: readonly string[] = ['skipped', 'pending', 'disabled', 'todo']

function notRunIn(file: string, tests: readonly TestResult[]): readonly Skipped[] {
  const byReason = Map.groupBy(
    tests.filter(({ status }) => NOT_RUN.includes(status)),
    ({ meta }) => meta.lacks,
  )
  return [...byReason].map(([why, skipped]) => ({ file, names: skipped.map(({ fullName }) => fullName), why }))
}
