import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countsIn } from '../../scripts/support/vitest-report.ts'
import { root } from '../../scripts/support/places.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()

const one = (fullName: string, status: string, lacks?: string) => ({ fullName, status, meta: lacks === undefined ? {} : { lacks } })

test('skipped tests are listed by file and by reason, with their names', () => {
  const path = join(folder(), 'report.json')
  const testResults = [
    { name: join(root, 'test/a.test.ts'), status: 'passed', assertionResults: [one('a', 'passed'), one('b', 'skipped', 'no perl')] },
    {
      name: join(root, 'test/b.test.ts'),
      status: 'passed',
      assertionResults: [one('c', 'skipped', 'no sh'), one('d', 'skipped', 'no sh'), one('e', 'skipped'), one('f', 'todo')],
    },
  ]
  writeFileSync(path, JSON.stringify({ numPassedTests: 1, numFailedTests: 0, numPendingTests: 4, numTodoTests: 1, testResults }))
  expect(countsIn(path)).toEqual({
    passed: 1,
    failed: 0,
    skipped: 5,
    notRun: [
      { file: 'test/a.test.ts', names: ['b'], why: 'no perl' },
      { file: 'test/b.test.ts', names: ['c', 'd'], why: 'no sh' },
      { file: 'test/b.test.ts', names: ['e', 'f'], why: undefined },
    ],
  })
})

test('a file that could not be loaded counts as failed, and a missing report gives none', () => {
  const path = join(folder(), 'broken.json')
  const testResults = [{ name: join(root, 'test/a.test.ts'), status: 'failed', assertionResults: [] }]
  writeFileSync(path, JSON.stringify({ numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults }))
  expect(countsIn(path)).toMatchObject({ passed: 0, failed: 1, skipped: 0, notRun: [] })
  expect(countsIn(join(folder(), 'none.json'))).toBeUndefined()
})
