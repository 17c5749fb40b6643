import { expect, test } from 'vitest'
import { loadDrills } from '../../src/app/drills.ts'
import { loadPlaybook } from '../../src/app/playbooks.ts'
import { UnusableFile } from '../../src/errors.ts'
import { memoryPorts, PACKAGE_ROOT } from '../support/memory-ports.ts'

const chosen = (...drills: string[]) => ({ drills, all: false, destructive: false })

test("a package without its drills is reported as broken, and no drill's name as wrong", async () => {
  await expect(loadDrills(chosen(), [], '/nowhere', memoryPorts(new Map()))).rejects.toMatchObject({
    code: 'E_PLAYBOOK_INVALID',
    message: 'there is no playbook at /nowhere/playbooks/drills',
  })
  await expect(loadDrills(chosen('haproxy-stopp'), [], PACKAGE_ROOT, memoryPorts(new Map()))).rejects.toMatchObject({
    code: 'E_USAGE',
    fix: expect.stringContaining('did you mean haproxy-stop?'),
  })
})

test('a playbook of the package that is no YAML is reported with its line and what fixes it', async () => {
  const ports = memoryPorts(new Map())
  const read = () => Promise.resolve(Buffer.from('playbook: deploy\nstages: [\n'))
  await expect(loadPlaybook('deploy', '/opt/hactl', { ...ports, files: { ...ports.files, read } })).rejects.toMatchObject({
    code: 'E_PLAYBOOK_INVALID',
    message: '/opt/hactl/playbooks/deploy.yml cannot be read',
    why: [expect.stringMatching(/^line \d+: /)],
    fix: expect.stringContaining('install hactl again'),
  })
})

test('a drill file of the operator that is a folder is reported as a folder', async () => {
  const ports = memoryPorts(new Map())
  const read = (path: string) => Promise.reject(new UnusableFile(path, 'it is a folder'))
  await expect(loadDrills(chosen('./own.yml'), [], PACKAGE_ROOT, { ...ports, files: { ...ports.files, read } })).rejects.toMatchObject({
    code: 'E_USAGE',
    message: '/inventory/own.yml cannot be read: it is a folder',
  })
})

test('--all runs every shipped drill but the destructive ones, the harmless first', async () => {
  const events = ['haproxy-stop', 'haproxy-kill', 'haproxy-hang', 'keepalived-stop', 'server-dead']
  const drills = await loadDrills({ drills: [], all: true, destructive: false }, events, PACKAGE_ROOT, memoryPorts(new Map()))
  const names = drills.map(({ name }) => name)
  const some = ['reload-under-load', 'haproxy-stop', 'haproxy-hang', 'partition']
  expect(names.filter(name => some.includes(name))).toEqual(some)
  expect(names).not.toContain('server-dead')
})
