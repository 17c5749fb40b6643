/** The timer that undoes a drill, as the shell of a server makes it; systemd's programs are played. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { stillArmed, armUndo, type UndoPlan } from '../../src/engine/drill-undo.ts'
import type { Script, Session } from '../../src/ports.ts'
import { sh } from '../../src/shell/sh.ts'
import type { Disturbance } from '../../src/state/drill.ts'
import { tempFolder } from '../support/temp-folder.ts'

const folder = tempFolder()
const PLAN: UndoPlan = {
  id: 'abcd',
  server: 'srv-1',
  disturbance: { undo: sh`echo "$HOME" ${"it's undone"}` } as Partial<Disturbance> as Disturbance,
  undoAfterMs: 29_500,
  bootMs: 0,
  stopMs: 0,
}

/** Runs a script where a timer is active or not. */
function run({ raw }: Script, isActive: boolean) {
  const log = join(folder(), 'log')
  writeFileSync(log, '')
  for (const [name, exit] of [
    ['systemd-run', 0],
    ['systemctl', isActive ? 0 : 3],
  ] as const)
    writeFileSync(join(folder(), name), `#!/bin/sh\nprintf '<%s>' ${name} "$@" >>"$LOG"\necho >>"$LOG"\nexit ${exit}\n`, { mode: 0o755 })
  const env = { PATH: `${folder()}:${process.env['PATH'] ?? ''}`, LOG: log }
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', raw], { encoding: 'utf8', env })
  return { code: status ?? 1, stdout, stderr, durationMs: 1, called: readFileSync(log, 'utf8') }
}

const sessionWhere = (isActive: boolean, ran: (called: string) => void = () => {}) =>
  ({
    server: 'srv-1',
    run: async script => {
      const result = run(script, isActive)
      ran(result.called)
      return result
    },
  }) as Partial<Session> as Session

test('runs the undo as it is, and must be active', async () => {
  let called = ''
  await armUndo(
    sessionWhere(true, text => {
      called = text
    }),
    PLAN,
  )
  expect(called.split('\n')).toEqual([
    `<systemd-run><--quiet><--collect><--unit=hactl-undo-abcd><--on-active=30s><--timer-property=AccuracySec=100ms></bin/sh><-c><echo "$$HOME" 'it'\\''s undone'>`,
    '<systemctl><is-active><--quiet><hactl-undo-abcd.timer>',
    '',
  ])
  await expect(armUndo(sessionWhere(false), PLAN)).rejects.toMatchObject({ code: 'E_UNHEALTHY', server: 'srv-1' })
})

test('lets nothing be disturbed once it has fired', () => {
  const disturb = sh`${stillArmed(PLAN)} && echo disturbed`
  expect(run(disturb, true)).toMatchObject({ code: 0, stdout: 'disturbed\n' })
  expect(run(disturb, false)).toMatchObject({ code: 1, stdout: '', stderr: 'the undo timer has already fired: nothing was disturbed\n' })
})
