import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { basename } from 'node:path'
import { check } from '../../src/app/check.ts'
import { type ImportInput, importServers } from '../../src/app/import.ts'
import type { ImportReport } from '../../src/app/imported-inventory.ts'
import { HactlError } from '../../src/errors.ts'
import type { Ports } from '../../src/ports.ts'
import { INVENTORY_PATH, memoryPorts } from '../support/memory-ports.ts'
import { serverOf } from '../support/deployed.ts'
import { type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'

// Three servers, a real shell each.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const lacks = shellServerLacks()
describe('servers that hactl set up', unlessLacking(lacks), () => {
  let cluster: ShellCluster
  beforeAll(async () => {
    cluster = shellCluster()
    for (const server of cluster.servers) {
      const { code, stderr } = await cluster.settle(server)
      if (code !== 0) throw new Error(stderr)
    }
  })
  afterAll(() => cluster.remove())

  const input = (over: Partial<ImportInput> = {}): ImportInput => ({
    servers: ['srv-3', 'srv-1', 'srv-2'].map(name => ({ name, host: `192.0.2.1${name.at(-1)}`, user: undefined, port: undefined })),
    output: INVENTORY_PATH,
    sshUser: undefined,
    identityFile: undefined,
    knownHosts: undefined,
    limit: [],
    forks: 8,
    timeoutMs: 1000,
    ...over,
  })
  const imported = (over?: Partial<ImportInput>): Promise<ImportReport> => importServers(input(over), cluster.ports, () => {})

  test('go on keeping open connections, for as long as they wait for them now', async () => {
    const server = serverOf(cluster, 'srv-2')
    const [script, hooks] = ['/usr/local/sbin/hactl-open-connections', '/usr/local/lib/hactl/service-hooks.sh']
    const then = server.read(hooks) ?? ''
    server.write(script, '')
    server.write(hooks, then.replace(/^STOP_HUNDREDTHS=.*$/m, 'STOP_HUNDREDTHS=9000'))
    const [inventory] = (await imported()).files
    server.remove(script)
    server.write(hooks, then)
    expect(inventory?.text).toContain('\nstop_timeout: 90\n')
    expect(inventory?.text).not.toContain('open_connections')
  })

  test('are imported, and the imported inventory gives an empty plan', async () => {
    const before = new Map(cluster.files)
    const report = await imported()
    // These servers cannot keep open connections.
    const cuts = 'a planned move cuts open connections, as today: open_connections: keep changes that'
    expect(report).toMatchObject({ notes: [cuts], issues: [], warnings: [] })
    expect(report.files[0]?.text).toContain('\nopen_connections: reset\n')
    expect(report.files.map(file => [basename(file.path), file.mode])).toEqual([
      ['inventory.yml', 0o644],
      ['haproxy.cfg', 0o600],
    ])
    for (const file of report.files) cluster.files.set(basename(file.path), file.text)
    expect(cluster.files.get('haproxy.cfg')).toBe(before.get('haproxy.cfg'))
    // The names were given in another order: the priorities say who is first.
    expect([...(cluster.files.get('inventory.yml') ?? '').matchAll(/name: (srv-\d)/g)].map(match => match[1])).toEqual([
      'srv-1',
      'srv-2',
      'srv-3',
    ])
    expect((await cluster.plan()).plan.servers.map(server => server.actions)).toEqual([[], [], []])
    for (const [name, text] of before) cluster.files.set(name, text)
  })

  test('are only read, and are the same before and after', async () => {
    const labels = cluster.servers.map(server => server.ran.length)
    await imported()
    expect(cluster.servers.map((server, at) => server.ran.slice(labels[at]))).toEqual(Array(3).fill(['read the facts of this server']))
  })

  test('have their password written into a file of its own, and never shown', async () => {
    const [first] = cluster.servers
    const before = first?.read('/etc/keepalived/keepalived.conf') ?? ''
    const withPassword = before.replace(
      'virtual_ipaddress',
      'authentication {\n auth_type PASS\n auth_pass hunter22\n }\n virtual_ipaddress',
    )
    first?.write('/etc/keepalived/keepalived.conf', withPassword)
    first?.write('/etc/haproxy/haproxy.cfg', 'listen s\n    bind :80\n    stats auth me:open-sesame\n')
    const report = await imported({ servers: input().servers.filter(server => server.name === 'srv-1') })
    first?.write('/etc/keepalived/keepalived.conf', before)
    const secret = report.files.find(file => file.path.endsWith('vrrp-VRRP1.secret'))
    expect(secret).toMatchObject({ text: 'hunter22\n', mode: 0o600 })
    const rest = JSON.stringify([report.notes, report.issues, report.warnings, report.files[0]])
    expect(rest).not.toMatch(/hunter22|open-sesame/)
    expect(report.files[0]?.text).toContain('auth_pass: { file: vrrp-VRRP1.secret }')
    expect(report.notes).toContain('haproxy.cfg contains passwords: only you can read the copy; keep it that way')
  })

  test('of which one has neither file give a note that it will get what the others have', async () => {
    const [, second] = cluster.servers
    const kept = ['/etc/keepalived/keepalived.conf', '/etc/haproxy/haproxy.cfg'].map(path => [path, second?.read(path) ?? ''] as const)
    for (const [path] of kept) second?.remove(path)
    const { notes } = await imported()
    for (const [path, text] of kept) second?.write(path, text)
    expect(notes).toEqual(expect.arrayContaining(['srv-2 has no /etc/keepalived/keepalived.conf: it gets what the others have']))
  })
})

test('an unreachable server is named as on the command line', async () => {
  let host: string | undefined
  const connect: Ports['remote']['connect'] = async target => {
    host = target.given?.host
    throw new HactlError({ code: 'E_SSH_UNREACHABLE', what: 'cannot be reached' })
  }
  const servers = [{ name: 'x', host: 'x.example.com', user: undefined, port: undefined }]
  const input = { servers, output: INVENTORY_PATH, sshUser: undefined, identityFile: undefined, knownHosts: undefined }
  const asked = importServers({ ...input, limit: [], forks: 1, timeoutMs: 1000 }, memoryPorts(new Map(), { remote: { connect } }), () => {})
  await expect(asked).rejects.toMatchObject({ code: 'E_SSH_UNREACHABLE' })
  expect(host).toBe('the host x.example.com on the command line')
})

describe('a cluster written by hand', unlessLacking(lacks), () => {
  let cluster: ShellCluster
  beforeAll(() => {
    cluster = shellCluster(['srv-1', 'srv-2'])
  })
  afterAll(() => cluster.remove())

  const servers = [1, 2].map(n => ({ name: `srv-${n}`, host: `192.0.2.1${n}`, user: 'ops', port: 2222 }))
  const input: ImportInput = {
    servers,
    output: INVENTORY_PATH,
    sshUser: 'deploy',
    identityFile: 'keys/id',
    knownHosts: '~/.ssh/known_hosts',
    limit: [],
    forks: 8,
    timeoutMs: 1000,
  }

  test('is refused where it does not exist', async () => {
    await expect(importServers(input, cluster.ports, () => {})).rejects.toMatchObject({ code: 'E_UNHEALTHY' })
  })

  test('gives an inventory that check accepts, with the settings to reach the servers', async () => {
    cluster.servers.forEach((server, at) => {
      server.write('/etc/keepalived/keepalived.conf', conf(100 - at, at === 0 ? 'MASTER' : 'BACKUP'))
      server.write('/etc/haproxy/haproxy.cfg', 'frontend web\n    bind :80\n    mode http\n')
    })
    const report = await importServers(input, cluster.ports, () => {})
    expect(report.issues).toEqual([])
    const [inventory] = report.files
    expect(inventory?.text).toContain('{ name: srv-1, host: 192.0.2.11, ssh: { user: ops, port: 2222 } }')
    expect(inventory?.text).toMatch(/user: deploy\n\s+identity_file: keys\/id\n\s+known_hosts: ~\/\.ssh\/known_hosts/)
    const files = new Map(report.files.map(file => [basename(file.path), file.text]))
    const checked = await check({ inventoryPath: INVENTORY_PATH, limit: [] }, memoryPorts(files))
    expect(checked).toMatchObject({ errors: [], profile: 'classic', servers: ['srv-1', 'srv-2'] })
  })

  test('gives key files relative to the inventory, wherever hactl is called from', async () => {
    const report = await importServers({ ...input, output: '/inventory/edge/inventory.yml' }, cluster.ports, () => {})
    expect(report.files[0]?.text).toContain('identity_file: ../keys/id')
  })

  test('keeps the passwords of instances apart whose names differ only in characters that no file name may have', async () => {
    const one = conf(100, 'BACKUP').replace(
      'virtual_ipaddress',
      'authentication {\n auth_type PASS\n auth_pass first\n }\n virtual_ipaddress',
    )
    const two = one.slice(one.indexOf('vrrp_instance')).replace('VI_1', 'VI:1').replace('66', '67').replace('first', 'second')
    cluster.servers[0]?.write('/etc/keepalived/keepalived.conf', one + two)
    const { files } = await importServers({ ...input, servers: servers.slice(0, 1) }, cluster.ports, () => {})
    expect(files.slice(2).map(file => [basename(file.path), file.text])).toEqual([
      ['vrrp-VI_1.secret', 'first\n'],
      ['vrrp-VI_1-2.secret', 'second\n'],
    ])
    expect(files[0]?.text).toContain('auth_pass: { file: vrrp-VI_1-2.secret }')
  })

  function conf(priority: number, state: string): string {
    return `vrrp_script chk_haproxy {
    script "pidof haproxy"
    interval 2
    weight 5
}
vrrp_instance VI_1 {
    state ${state}
    interface eth0
    virtual_router_id 66
    priority ${priority}
    virtual_ipaddress {
        192.0.2.200/24
    }
    track_script {
        chk_haproxy
    }
}
`
  }
})
