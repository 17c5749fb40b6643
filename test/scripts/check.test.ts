/** npm run check with other commands in package.json: the real scripts/check.ts and scripts/support. */
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../../scripts/support/places.ts'
import { tempFolder } from '../support/temp-folder.ts'

const temporary = tempFolder()

const PASSING = {
  typecheck: 'echo types',
  lint: 'echo lint',
  dead: 'echo dead',
  'format:check': 'echo format',
  'check:on-server': 'echo programs',
  'test:fast': 'echo tests',
}

async function check(scripts: Readonly<Record<string, string>>): Promise<{ readonly status: number | null; readonly text: string }> {
  const folder = mkdtempSync(join(temporary(), 'check-'))
  mkdirSync(join(folder, 'scripts'))
  cpSync(join(root, 'scripts/support'), join(folder, 'scripts/support'), { recursive: true })
  cpSync(join(root, 'scripts/check.ts'), join(folder, 'scripts/check.ts'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', scripts }))
  const child = spawn(join(root, 'node_modules/.bin/node'), ['scripts/check.ts'], { cwd: folder })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  const status = await new Promise<number | null>(resolve => child.on('close', resolve))
  return { status, text }
}

test('passes where each check passes', async () => {
  const { status, text } = await check(PASSING)
  expect(
    text
      .split('\n')
      .filter(line => Object.values(PASSING).includes(`echo ${line}`))
      .toSorted(),
  ).toEqual(['types', 'lint', 'dead', 'format', 'programs', 'tests'].toSorted())
  expect(status).toBe(0)
})

test('runs what is left after one has failed, and says which failed', async () => {
  const { status, text } = await check({ ...PASSING, lint: 'echo lint; exit 3', 'test:fast': 'echo tests; kill $$' })
  expect(text).toMatch(/== npm run lint: failed after .*\nlint\n/)
  expect(text).toMatch(/== npm run check:on-server: passed after .*\nprograms\n/)
  expect(text).toMatch(/\nfailed: npm run lint, npm run test:fast\n$/)
  expect(status).toBe(1)
})

test('runs the other checks beside the fast tests, and mixes no output', async () => {
  const tests = 'echo one; n=0; until [ -e others ]; do n=$((n+1)); [ $n -lt 1000 ] || exit 1; sleep 0.02; done; echo two'
  const { status, text } = await check({ ...PASSING, 'test:fast': tests, 'check:on-server': 'echo programs >&2; touch others' })
  expect(text).toMatch(/== npm run check:on-server: passed after .*\nprograms\n/)
  expect(text).toMatch(/== npm run test:fast: passed after .*\none\ntwo\n/)
  expect(status).toBe(0)
})
