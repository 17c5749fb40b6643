import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { renderDrainTmpfiles } from '../../src/domain/drain.ts'
import { drillRefusals } from '../../src/domain/failover/drill.ts'
import { keepAnsweringScript } from '../../src/domain/hand-over.ts'
import { nodeProblems } from '../../src/domain/health.ts'
import { isDrained } from '../../src/domain/trackers.ts'
import { DRAIN_TMPFILES_CONF, MANAGED_PATHS } from '../../src/domain/paths.ts'
import { drainedNode } from '../support/drain-world.ts'
import { clusterWith } from './example.ts'

test('the file of --persist writes the drain at boot only, and never over an existing one', () => {
  expect(renderDrainTmpfiles(clusterWith())).toMatch(/^# hactl .*\nf \/run\/hactl\/drain 0644 root root - -253\n$/)
  expect(renderDrainTmpfiles(clusterWith({ nopreempt: true }))).toContain(' - -254\n')
})

test('a deploy does not compare that file', () => {
  expect(MANAGED_PATHS).not.toContain(DRAIN_TMPFILES_CONF)
})

test('a drained server is healthy, with the lowest priority or, where no server preempts, in FAULT', () => {
  const lowered = drainedNode(-253, 'BACKUP', 1)
  expect(isDrained(lowered)).toBe(true)
  expect(nodeProblems(clusterWith(), lowered)).toEqual([])
  expect(nodeProblems(clusterWith(), drainedNode(-254, 'FAULT', 254))).toEqual([])
})

test('FAULT and a priority that the offset does not explain are still problems of a drained server', () => {
  expect(nodeProblems(clusterWith(), drainedNode(-253, 'FAULT', 1))).toEqual(['VRRP1 is in state FAULT'])
  expect(nodeProblems(clusterWith(), drainedNode(-253, 'BACKUP', 254))).toEqual([
    expect.stringContaining("keepalived's watch on them is dead"),
  ])
})

test('an offset that no keepalived watches drains nothing', () => {
  const { files, ...node } = drainedNode(-253, 'BACKUP', 250)
  expect(isDrained({ ...node, files: { ...files, '/etc/keepalived/keepalived.conf': undefined } })).toBe(false)
})

describe('the old holder answers by local routes, one per address and family', () => {
  const played = (fails: boolean) => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-drain-'))
    try {
      for (const name of ['ip', 'ss', 'sleep', 'systemd-run'])
        writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >>"$LOG"\n${name === 'systemd-run' && fails ? 'exit 1' : ''}\n`, {
          mode: 0o755,
        })
      const log = join(folder, 'log')
      const { raw } = keepAnsweringScript(['192.0.2.200', '2001:db8::200'], 1000)
      const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, LOG: log }
      expect(spawnSync('sh', ['-c', raw], { env, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
      // As systemd passes it on.
      const [, program = ''] = /systemd-run .* \/bin\/sh -c ([^]*)$/.exec(readFileSync(log, 'utf8')) ?? []
      const text = readFileSync(log, 'utf8').split(' /bin/sh -c ')[0] ?? ''
      writeFileSync(log, '')
      spawnSync('sh', ['-c', program.replace(/\nip route del[^]*$/, '').replaceAll('$$', '$')], { env })
      return { text, later: readFileSync(log, 'utf8'), whole: program }
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  test('which a service of its own removes, with the connections that would interfere later', () => {
    const { text, later } = played(false)
    expect(text).toMatch(
      /^ip route replace local 192\.0\.2\.200 dev lo metric 9 table local\nip -6 route replace local 2001:db8::200 dev lo metric 9 table local\nsystemd-run /,
    )
    expect(later).toMatch(
      /sleep 0\.3\n[^]*ss -K [^\n]* src 192\.0\.2\.200\nss -K [^\n]* src \[2001:db8::200\]\nip route del local 192\.0\.2\.200 /,
    )
  })

  test('which are removed at once where that service cannot be started', () => {
    expect(played(true).whole).toMatch(/\nip route del local 192\.0\.2\.200 dev lo metric 9 table local\n/)
  })
})

test('no drill begins where every server that could take over is drained', () => {
  const [first, second] = [drainedNode(0, 'BACKUP', 254), { ...drainedNode(-253, 'BACKUP', 1), server: 'srv-2' }]
  const refusal = 'nobody is left to take over: srv-2 drained; hactl undrain gives a server back'
  expect(drillRefusals(clusterWith(), [first, second])).toContain(refusal)
  expect(drillRefusals(clusterWith(), [first, second, { ...first, server: 'srv-3' }])).not.toContainEqual(
    expect.stringContaining('nobody is left'),
  )
})
