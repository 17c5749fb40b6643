/** A script that a signal ends while its lab starts: the real scripts/support, with a lab of a few lines in the place of the real one. */
import { spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { root } from '../../scripts/support/places.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-interrupt-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

// Like timeout(1) in a shell script: what is at work when the signal comes goes on, and ends well.
const LAB = `#!/bin/sh
trap '' INT
echo "$1" >>"$HACTL_LAB_STATE/called"
[ "$1" = up ] || exit 0
echo '{}' >"$HACTL_LAB_STATE/lab.json"
while [ ! -e "$HACTL_LAB_STATE/go-on" ]; do sleep 0.02; done
`
const SCRIPT = `
import { writeFileSync } from 'node:fs'
import { withLab } from './support/lab.ts'
import { main } from './support/process.ts'
process.on('SIGINT', () => writeFileSync(process.env.HACTL_LAB_STATE + '/go-on', ''))
await main(() => withLab(async () => { console.log('worked') }))
`

test('starts no work any more, takes the lab down and ends by that signal', async () => {
  cpSync(join(root, 'scripts/support'), join(folder, 'scripts/support'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'scripts/script.ts'), SCRIPT)
  mkdirSync(join(folder, 'test/lab'), { recursive: true })
  writeFileSync(join(folder, 'test/lab/lab'), LAB)
  chmodSync(join(folder, 'test/lab/lab'), 0o755)
  const state = join(folder, 'state')
  mkdirSync(state)

  const node = join(root, 'node_modules/.bin/node')
  const child = spawn(node, [join(folder, 'scripts/script.ts')], { env: { PATH: process.env['PATH'], HACTL_LAB_STATE: state } })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  while (!existsSync(join(state, 'lab.json')) && child.exitCode === null) await new Promise(resolve => setTimeout(resolve, 20))
  child.kill('SIGINT')
  const status = await ended
  expect(text).toContain('interrupted')
  expect(text).not.toContain('worked')
  expect(readFileSync(join(state, 'called'), 'utf8')).toBe('up\ndown\n')
  expect(status).toBe(130)
})
