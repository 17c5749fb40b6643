import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** A folder for the tests of this file or describe, made before the first and removed after the last; its path once they run. */
export function tempFolder(): () => string {
  let folder: string | undefined
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hactl-test-'))
  })
  afterAll(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })
  return () => {
    if (folder === undefined) throw new Error('the folder is there only while tests run')
    return folder
  }
}
