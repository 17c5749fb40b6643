/** The folder of the track files and the files in it, made by a real sh with the umask of whoever runs it. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MAKE_MISSING_TRACKERS, SAY_HAPROXY_RUNS } from '../../src/domain/trackers.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hactl-track-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test.each(['000', '002', '022', '077'])('with umask %s, everybody may read the track files, and only root may write them', umask => {
  const there = join(folder, 'hactl')
  for (const script of [SAY_HAPROXY_RUNS, MAKE_MISSING_TRACKERS])
    execFileSync('/bin/sh', ['-c', `umask ${umask}\n${script.raw.replaceAll('/run/hactl', there)}`])
  const modes = ['.', 'haproxy_down', 'haproxy_offset', 'keepalived_offset', 'drain'].map(name =>
    (statSync(join(there, name)).mode & 0o7777).toString(8),
  )
  expect(modes).toEqual(['755', '644', '644', '644', '644'])
})
