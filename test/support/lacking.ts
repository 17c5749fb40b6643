/** Tests that cannot run everywhere say why: in their output, and in the report that `npm test` makes of all skipped tests. */
import { expect, type TestContext, type TestOptions } from 'vitest'

declare module 'vitest' {
  interface TaskMeta {
    /** Why the test was skipped: "this machine has no flock". */
    lacks?: string
  }
}

/** Options of a describe or a test that cannot run without something; `lacks` says what is missing, undefined: nothing. */
export function unlessLacking(lacks: string | undefined): TestOptions {
  if (lacks === undefined) return {}
  process.stderr.write(`${expect.getState().testPath}: tests are skipped: ${lacks}\n`)
  return { skip: true, meta: { lacks } }
}

/** Skips the test that runs. */
export function skipLacking({ task, skip }: TestContext, lacks: string): never {
  task.meta.lacks = lacks
  process.stderr.write(`${task.fullTestName}: skipped: ${lacks}\n`)
  return skip(lacks)
}
