import { expect, test } from 'vitest'
import type { ImportInput } from '../../../src/app/import.ts'
import type { ImportReport } from '../../../src/app/imported-inventory.ts'
import { fakeFiles } from '../../support/terminal.ts'
import { runLine, type Scene } from '../command-line.ts'

const REPORT: ImportReport = {
  files: [
    { path: '/home/ops/edge/inventory.yml', text: 'servers: []\n', mode: 0o644 },
    { path: '/home/ops/edge/haproxy.cfg', text: 'frontend web\n', mode: 0o600 },
  ],
  notes: ['vrrp_instance VI_1: notify_master is not carried over: hactl has no setting for it'],
  issues: [{ path: 'haproxy', message: 'is missing' }],
  warnings: [],
}

function scene(files = fakeFiles(), report = REPORT) {
  const inputs: ImportInput[] = []
  const modes: Record<string, number> = {}
  const recording = {
    ...files,
    write: async (path: string, text: string, mode: number) => {
      modes[path] = mode
      await files.write(path, text, mode)
    },
  }
  const app: Scene['app'] = {
    importServers: async input => {
      inputs.push(input)
      return report
    },
  }
  return { inputs, modes, files, scene: { app, ports: { files: recording } } }
}

test('writes what runs on the given servers, secrets readable by the owner only, and says what is missing', async () => {
  const { inputs, modes, scene: given } = scene()
  const { exit, out, err } = await runLine(['import', 'srv-1=ops@192.0.2.11:2222', '192.0.2.12', '--ssh-user', 'deploy'], given)
  expect(exit).toBe(0)
  expect(inputs[0]).toMatchObject({
    servers: [
      { name: 'srv-1', host: '192.0.2.11', user: 'ops', port: 2222 },
      { name: 'srv-2', host: '192.0.2.12' },
    ],
    output: '/home/ops/edge/inventory.yml',
    sshUser: 'deploy',
  })
  expect(modes).toEqual({ '/home/ops/edge/inventory.yml': 0o644, '/home/ops/edge/haproxy.cfg': 0o600 })
  expect(out).toContain('notify_master is not carried over')
  expect(out).toContain('hactl deploy --adopt')
  expect(err).toContain('fix by hand: haproxy: is missing')
})

test('overwrites nothing without --force, not even a file beside the inventory', async () => {
  const there = fakeFiles({ '/home/ops/edge/haproxy.cfg': 'mine\n' })
  const refused = scene(there)
  const { exit, err } = await runLine(['import', '192.0.2.11'], refused.scene)
  expect([exit, there.written.size]).toEqual([3, 0])
  expect(err).toContain('/home/ops/edge/haproxy.cfg exists already')
  expect((await runLine(['import', '192.0.2.11', '--force'], refused.scene)).exit).toBe(0)
  expect(there.written.get('/home/ops/edge/haproxy.cfg')).toBe('frontend web\n')
})

test('connects to no server where the inventory exists already, or where the name of a server is invalid', async () => {
  const { inputs, scene: given } = scene(fakeFiles({ '/home/ops/edge/inventory.yml': '' }))
  expect((await runLine(['import', '192.0.2.11'], given)).exit).toBe(3)
  expect((await runLine(['import', 'srv 1=192.0.2.11', '--output', 'other.yml'], given)).err).toContain('E_USAGE')
  expect((await runLine(['import'], given)).exit).toBe(3)
  expect(inputs).toEqual([])
})

test('--json ends with the files and what was not carried over', async () => {
  const { result } = await runLine(['import', '192.0.2.11', '--json'], scene().scene)
  expect(result()).toEqual({
    event: 'result',
    command: 'import',
    exit: 0,
    file: '/home/ops/edge/inventory.yml',
    files: ['/home/ops/edge/inventory.yml', '/home/ops/edge/haproxy.cfg'],
    notes: REPORT.notes,
    issues: ['haproxy: is missing'],
    warnings: [],
  })
})
