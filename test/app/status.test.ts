import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { plan } from '../../src/app/plan.ts'
import { status, type StatusReport } from '../../src/app/status.ts'
import { INVENTORY_PATH, memoryPorts, PACKAGE_ROOT } from '../support/memory-ports.ts'
import { putDeployed, withOpenSaid, withService } from '../support/open-said.ts'
import { fakeRemote, fakeSession } from '../support/remote.ts'
import { INVENTORY, shellCluster } from '../support/shell-cluster.ts'
import { shellServerLacks } from '../support/shell-server.ts'
import { unlessLacking } from '../support/lacking.ts'

const recorded = (name: string) => readFileSync(join(import.meta.dirname, `../../fixtures/probes/${name}.txt`), 'utf8')
const HOLDER = recorded('fast-holder')
const BACKUP = recorded('fast-backup')

const inventory = (bind = ':80') => `
servers:
  - { name: srv-1, host: 198.18.200.11 }
  - { name: srv-2, host: 198.18.200.12 }
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 200, virtual_ipaddress: [198.18.200.200/24], priority: { srv-1: 254, srv-2: 250 } }
haproxy:
  frontends: [{ name: web, bind: ["${bind}"], mode: http, default_backend: app }]
  backends: [{ name: app, servers: [{ name: app-1, address: "192.0.2.111:80" }] }]
`

interface Looked {
  readonly report: StatusReport
  readonly script: string
  readonly first: StatusReport['servers'][number] | undefined
}

/** What status says of two servers, of which the first answered like this. */
async function look(first: string, bind?: string, isSecondInReach = true): Promise<Looked> {
  const answers: Readonly<Record<string, string>> = { 'srv-1': first, 'srv-2': BACKUP }
  let script = ''
  const session = (name: string) => () =>
    fakeSession(name, [
      {
        when: /./,
        reply: asked => {
          script = asked.script
          return { stdout: answers[name] ?? '' }
        },
      },
    ])
  const remote = fakeRemote({ 'srv-1': session('srv-1'), ...(isSecondInReach ? { 'srv-2': session('srv-2') } : {}) })
  const ports = memoryPorts(new Map([['inventory.yml', inventory(bind)]]), { remote })
  const report = await status({ inventoryPath: INVENTORY_PATH, limit: [], forks: 8, timeoutMs: 1000 }, ports, PACKAGE_ROOT)
  return { report, script, first: report.servers[0] }
}

/** A time as openssl prints it, this many days and some seconds after the time of the recorded server. */
function inDays(days: number): string {
  const atMs = (Number(/^clock (\d+) /m.exec(HOLDER)?.[1]) + days * 86_400 + Math.sign(days) * 5) * 1000
  const [, day = '', month = '', year = '', time = ''] = /^\w+, (\d+) (\w+) (\d+) (\S+) GMT$/.exec(new Date(atMs).toUTCString()) ?? []
  return `${month} ${String(Number(day)).padStart(2)} ${time} ${year} GMT`
}

/** The recorded answer with another text in place of one, which must be there. */
function changed(from: string | RegExp, to: string): string {
  if (HOLDER.search(from) < 0) throw new Error(`the recording has no ${String(from)}`)
  return HOLDER.replace(from, to)
}

/** The recorded answer with a section more. */
const withSection = (name: string, body: string) => changed('@@end all', `@@begin ${name}\n${body}\n@@end ${name}\n@@end all`)

const problemsOf = async (answer: string, bind?: string) => (await look(answer, bind)).first?.problems

test('a healthy pair has no problems, and is asked once', async () => {
  const { report, first } = await look(HOLDER)
  expect(report).toMatchObject({ exit: 0, problems: [], vips: [{ address: '198.18.200.200', holders: ['srv-1'] }] })
  expect(first).toMatchObject({ state: 'MASTER', haproxy: 'healthy', keepalived: 'active', problems: [] })
})

/** A server with all of the inventory's files, and what status is asked of it. */
async function settledServer() {
  const cluster = shellCluster(['srv-1'])
  const [server] = cluster.servers
  if (server === undefined) throw new Error('no server')
  cluster.files.set('inventory.yml', INVENTORY)
  await cluster.settle(server)
  return { cluster, server, input: { inventoryPath: INVENTORY_PATH, limit: ['srv-1'], forks: 8, timeoutMs: 1000 } }
}

describe('status reports', () => {
  test('a dead watch of keepalived on its track files', async () => {
    expect(await problemsOf(withSection('watched', 'no'))).toEqual([
      "keepalived's watch on its track files is dead: it no longer learns the state of haproxy",
    ])
  })

  test('a missing drop-in, as drift', { ...unlessLacking(shellServerLacks()), timeout: 60_000 }, async () => {
    const { cluster, server, input } = await settledServer()
    try {
      const driftOf = async () => (await status(input, cluster.ports, PACKAGE_ROOT)).servers[0]?.drift
      expect(await driftOf()).toEqual([])
      server.remove('/etc/systemd/system/haproxy.service.d/hactl.conf')
      expect(await driftOf()).toContain('file/haproxy-dropin')
    } finally {
      cluster.remove()
    }
  })

  test('a service for open connections that keeps none, as drift', { ...unlessLacking(shellServerLacks()), timeout: 60_000 }, async () => {
    const { cluster, server, input } = await settledServer()
    try {
      const saying = (words: string) => withOpenSaid(cluster.newRun(), () => `able\n${words}\n`)
      // The units have not been reloaded since their files were put there.
      const driftOf = async (words: string) =>
        (await status(input, saying(words), PACKAGE_ROOT)).servers[0]?.drift?.filter(id => !/^service\/(?:haproxy|keepalived)$/.test(id))
      const works = 'running\nrules owner\ninstance VRRP1 held'
      for (const action of (await plan(input, saying(works), () => {}, PACKAGE_ROOT)).plan.servers[0]?.actions ?? []) {
        if (action.kind === 'write-file') putDeployed(server, action)
      }
      expect(await driftOf(works)).toEqual([])
      for (const lack of ['stopped', 'running\nrules missing', 'running\nrules owner\ninstance VRRP1 held\nunarmed VRRP1'])
        expect([lack, await driftOf(lack)]).toEqual([lack, ['open-connections/service']])
    } finally {
      cluster.remove()
    }
  })

  test('a unit that is disabled: nothing is wrong until the next boot', async () => {
    expect(await problemsOf(changed(/UnitFileState=enabled(?=[^]*Id=keepalived|[^]*$)/, 'UnitFileState=disabled'))).toEqual([
      expect.stringMatching(/^(haproxy|keepalived) is disabled: it does not start at boot$/),
    ])
  })

  test('a unit that was masked while it runs: nothing starts it again', async () => {
    const { report, first } = await look(changed(/LoadState=loaded(?=[^]*Id=keepalived|[^]*$)/, 'LoadState=masked'))
    expect(first?.problems).toEqual([expect.stringMatching(/^(haproxy|keepalived) is masked: once it stops, nothing starts it again/)])
    expect(report.exit).toBe(5)
  })

  test('a lock that a dead run left behind, and how to remove it', async () => {
    const lock = (age: number) =>
      changed(/@@begin lock\n[^]*@@end lock/, `@@begin lock\nage ${age}\nid x\nowner ops@laptop\nreason deploy\n@@end lock`)
    expect(await problemsOf(lock(4000))).toEqual([
      'the lock of ops@laptop for deploy is left over (last sign of life 4000 s ago): that run ended half way; run hactl unlock',
    ])
    expect(await problemsOf(lock(3))).toEqual(['locked by ops@laptop for deploy'])
  })

  test('an address of the cluster that somebody has put on lo, and none that the service for open connections has there', async () => {
    const lo = '1: lo    inet 127.0.0.1/8 scope host lo'
    const both = `${lo}\\       valid_lft forever preferred_lft forever\n1: lo    inet 198.18.200.200/32 scope global lo`
    const { report, first } = await look(changed(lo, both))
    expect(report).toMatchObject({ exit: 0, vips: [{ holders: ['srv-1'] }] })
    expect(first?.problems).toEqual([
      '198.18.200.200 is on lo: without arp_ignore this server answers for it beside its holder (ip address del 198.18.200.200/32 dev lo)',
    ])
    const kept = changed(lo, both).replace('@@end all', '@@begin open-connections\nrunning\nrules owner\n@@end open-connections\n@@end all')
    expect(await problemsOf(kept)).toEqual([])
  })

  test('what a drill left behind', async () => {
    expect(
      await problemsOf(changed(/@@begin residue\n[^]*@@end residue/, '@@begin residue\nhactl-undo-abcd.timer\n@@end residue')),
    ).toEqual(['hactl-undo-abcd.timer is left over from a drill'])
  })

  test('a check script that others than root could change: keepalived would leave it out', async () => {
    const folders = (line: string) => withSection('folders', `755 root root 4096 /\n${line}`)
    expect(await problemsOf(folders('2775 root staff 4096 /usr/local/bin'))).toEqual([
      'group staff may write to /usr/local/bin: keepalived runs no check of haproxy from there (chown root:root /usr/local/bin && chmod go-w /usr/local/bin on srv-1)',
    ])
    expect(await problemsOf(folders('755 deploy root 4096 /usr/local'))).toEqual([
      '/usr/local belongs to deploy: keepalived runs no check of haproxy from there (chown root:root /usr/local && chmod go-w /usr/local on srv-1)',
    ])
    expect(await problemsOf(folders('1777 root root 4096 /usr/local'))).toEqual([
      'every user may write to /usr/local: keepalived runs no check of haproxy from there (chown root:root /usr/local && chmod go-w /usr/local on srv-1)',
    ])
    expect(await problemsOf(folders('775 root root 4096 /usr/local'))).toEqual([])
  })

  test('certificates that expire soon, have expired or are missing', async () => {
    const bind = ':443 ssl crt /etc/ssl/site.pem crt /etc/ssl/more'
    const { first, script } = await look(
      withSection(
        'certificates',
        [
          `end ${inDays(20)} /etc/ssl/site.pem`,
          `end ${inDays(-3)} /etc/ssl/more/a.pem`,
          `end ${inDays(90)} /etc/ssl/more/b.pem`,
          // A text that is no time says nothing about its certificate.
          'end Feb 31 10:00:00 2026 GMT /etc/ssl/more/c.pem',
          'end sometime /etc/ssl/more/d.pem',
          'none /etc/ssl/gone.pem',
        ].join('\n'),
      ),
      bind,
    )
    expect(first?.problems).toEqual([
      'the certificate /etc/ssl/site.pem expires in 20 days',
      'the certificate /etc/ssl/more/a.pem expired 3 days ago',
      'there is no certificate in /etc/ssl/gone.pem',
    ])
    // The call stands in a word that a function evaluates.
    expect(script.replaceAll(String.raw`'\''`, "'")).toContain("\ncertificates '' 2 '/etc/ssl/site.pem' '/etc/ssl/more'\n")
  })
})

describe('the exit of status, for cron and monitoring, is', () => {
  const lock = (age: number) =>
    changed(/@@begin lock\n[^]*@@end lock/, `@@begin lock\nage ${age}\nid x\nowner ops@laptop\nreason deploy\n@@end lock`)
  const certificate = (days: number) => withSection('certificates', `end ${inDays(days)} /etc/ssl/site.pem`)
  const without = (path: string) =>
    HOLDER.split('\n')
      .filter(line => !line.endsWith(` ${path}`) || line.startsWith('@@'))
      .join('\n')

  test.each<[string, () => string]>([
    ['haproxy does not answer', () => changed(/@@begin check\n0/, '@@begin check\n1')],
    ["keepalived's watch is dead", () => withSection('watched', 'no')],
    ['a tracker file is gone', () => changed('/run/hactl/haproxy_down 0\n', '')],
    ['a drop-in is gone', () => without('/etc/systemd/system/haproxy.service.d/hactl.conf')],
    ['a unit is disabled', () => changed('UnitFileState=enabled', 'UnitFileState=disabled')],
    ['a certificate ends soon', () => certificate(3)],
    ['a certificate has ended', () => certificate(-3)],
    ['a dead run left its lock', () => lock(4000)],
    [
      'a drill left something',
      () => changed(/@@begin residue\n[^]*@@end residue/, '@@begin residue\nhactl-undo-abcd.timer\n@@end residue'),
    ],
    ['keepalived left the check out', () => changed(/"track_script":\[[^\]]*\],/, '')],
  ])('5 where %s', async (_what, answer) => {
    const { report, first } = await look(answer())
    expect(first?.problems).toHaveLength(1)
    expect(first?.healthy).toBe(false)
    expect(report.exit).toBe(5)
  })

  test.each<[string, () => string]>([
    ['a run is at work', () => lock(3)],
    ['a file differs from the inventory', () => changed('net.ipv4.ip_nonlocal_bind 1', 'net.ipv4.ip_nonlocal_bind 0')],
    ['a certificate expires much later', () => certificate(90)],
    ['many adverts were refused, now or long ago', () => changed('"auth_failure":0', '"auth_failure":812')],
  ])('0 where %s', async (_what, answer) => {
    const { report, first } = await look(answer())
    expect(first?.healthy).toBe(true)
    expect(report.exit).toBe(0)
  })

  test.each([
    ['does not run', 'stopped'],
    ['has not loaded its rules', 'running\nrules missing'],
    ['could not prepare this server for VRRP1', 'running\nrules owner\ninstance VRRP1 held\nunarmed VRRP1'],
  ])('5 where the service that keeps open connections %s', async (problem, words) => {
    const { report, first } = await look(withService(HOLDER, `able\n${words}\n`))
    expect(first?.problems).toEqual([
      `hactl-open-connections.service ${problem}: a planned move cuts the open connections of this server (hactl deploy fixes it)`,
    ])
    expect([first?.healthy, report.exit]).toEqual([false, 5])
    const repaired = await look(withService(HOLDER, 'able\nrunning\nrules owner\ninstance VRRP1 held\n'))
    expect([repaired.first?.problems, repaired.report.exit]).toEqual([[], 0])
  })

  test('4, not 7, where no server in reach holds the address: one out of reach may', async () => {
    const { report } = await look(changed(/inet 198\.18\.200\.200\/24/, 'inet 198.18.200.199/24'), undefined, false)
    expect(report.exit).toBe(4)
    expect(report.problems).toEqual([])
  })

  test('7 before 5: nobody holds the address', async () => {
    const { report } = await look(
      changed(/inet 198\.18\.200\.200\/24/, 'inet 198.18.200.199/24').replace('@@begin check\n0', '@@begin check\n1'),
    )
    expect(report.exit).toBe(7)
    // keepalived does not notice that a network manager removed the address.
    expect(report.problems).toEqual([
      'nobody holds 198.18.200.200',
      expect.stringMatching(/^srv-1 is master of VRRP1 and does not have 198\.18\.200\.200: .*; systemctl restart keepalived on srv-1$/),
    ])
  })
})

test('refused adverts are reported as another router with the same number, once they are more than a change leaves behind', async () => {
  expect(await problemsOf(changed('"auth_failure":0', '"auth_failure":812'))).toEqual([
    'keepalived has refused 812 adverts for VRRP1 since it started (812 with a different auth_pass): another router on this network has virtual_router_id 200, or a server has different settings',
  ])
  expect(await problemsOf(changed('"addr_list_err":0', '"addr_list_err":12'))).toEqual([])
  expect(await problemsOf(changed('"addr_list_err":0', '"addr_list_err":99').replace(/"advert_sent":\d+/, '"advert_sent":9901'))).toEqual(
    [],
  )
})

describe('what is still open to addresses that have moved away is', () => {
  const openOf = async (words: string) => (await look(withSection('open-connections', words))).first?.openConnections?.open

  test('said by instance, family, port and frontend, as a drain says it', async () => {
    expect(await openOf('running\nrules owner\ninstance VRRP1 kept\nopen VRRP1 80 3\nopen VRRP1 8080 2')).toEqual([
      { instance: 'VRRP1', family: 4, port: 80, frontends: ['web'], connections: 3 },
      { instance: 'VRRP1', family: 4, port: 8080, frontends: [], connections: 2 },
    ])
  })

  test('not known where the service does not answer, and nothing where it does not run', async () => {
    expect(await openOf('running')).toBeUndefined()
    expect(await openOf('stopped')).toEqual([])
  })
})
