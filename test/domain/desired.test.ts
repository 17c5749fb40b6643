import { joinScripts } from '../../src/shell/sh.ts'
import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { probeRequestFor } from '../../src/engine/operations/look.ts'
import { desiredNode } from '../../src/domain/desired.ts'
import { MANAGED_PATHS } from '../../src/domain/paths.ts'
import { nodeFactsFor } from '../../src/domain/node-facts.ts'
import { inOrder, parsePlaybook } from '../../src/engine/playbook.ts'
import type { FileResource } from '../../src/state/desired.ts'
import { parseYaml } from '../../src/yaml.ts'
import { addresses, classicWith, clusterWith, factsOfServer, HAPROXY, observed } from './example.ts'

const desired = (cluster = clusterWith(), server = 'srv-1') => desiredNode(cluster, server, factsOfServer(cluster, server)).resources
const fileOf = (id: string, cluster = clusterWith()): FileResource => {
  const found = desired(cluster).find(r => r.id === id)
  if (found?.kind !== 'file') throw new Error(`no file ${id}`)
  return found
}
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const IDS = [
  'file/check-program',
  'file/check-script',
  'file/hand-over-unit',
  'file/haproxy-dropin',
  'file/haproxy.cfg',
  'file/keepalived-dropin',
  'file/keepalived.conf',
  'file/members',
  'file/open-connections',
  'file/open-connections-program',
  'file/open-connections-rules',
  'file/open-connections-settings',
  'file/open-connections-unit',
  'file/service-hooks',
  'file/sysctl',
  'file/tmpfiles',
  'file/unattended-upgrades',
  'package/haproxy',
  'package/keepalived',
  'service/haproxy',
  'service/keepalived',
  'sysctl/net.ipv4.ip_nonlocal_bind',
]

describe('what hactl wants on a server', () => {
  test.for([
    ['fast', clusterWith()],
    ['classic', classicWith()],
  ] as const)('has the same names in %s', ([, cluster]) => {
    expect(
      desired(cluster)
        .filter(r => r.kind !== 'own-tool')
        // Programs that other files call have a task of their own where they must be absent.
        .map(r => r.id.replace(/^absent\//, 'file/'))
        .toSorted(),
    ).toEqual(IDS)
  })

  test("fast's own files must be absent in classic", () => {
    expect(
      desired(classicWith())
        .filter(r => r.kind === 'absent-file')
        .map(r => r.id),
    ).toEqual([
      'file/tmpfiles',
      'absent/check-program',
      'absent/service-hooks',
      'file/hand-over-unit',
      'file/haproxy-dropin',
      'file/keepalived-dropin',
      'absent/open-connections-program',
      'absent/open-connections-rules',
      'absent/open-connections-settings',
      'file/open-connections-unit',
      'file/open-connections',
    ])
    expect(desired().filter(r => r.kind === 'absent-file')).toEqual([])
  })

  test('lets haproxy bind an IPv6 address that another server holds, only where there is one', () => {
    const facts = nodeFactsFor(
      clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] }),
      Object.fromEntries([1, 2, 3].map(n => [`srv-${n}`, observed(addresses(`eth0 192.0.2.1${n}/24`, `eth0 2001:db8::1${n}/64`))])),
    )['srv-1']
    if (facts === undefined) throw new Error('no facts of srv-1')
    const wanted = desiredNode(clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] }), 'srv-1', facts).resources
    const keys = ['net.ipv4.ip_nonlocal_bind', 'net.ipv6.ip_nonlocal_bind']
    expect(wanted.flatMap(r => (r.kind === 'sysctl' ? [`${r.key} = ${r.value}`] : []))).toEqual(keys.map(key => `${key} = 1`))
    expect(wanted.flatMap(r => (r.id === 'file/sysctl' && r.kind === 'file' ? r.content.split('\n').slice(1, -1) : []))).toEqual(
      keys.map(key => `${key} = 1`),
    )
    const path = join(import.meta.dirname, '../../playbooks/deploy.yml')
    const playbook = parsePlaybook(parseYaml(readFileSync(path, 'utf8')).value, path)
    expect(
      inOrder(
        playbook,
        keys.map(key => ({ id: `sysctl/${key}` })),
      ),
    ).toHaveLength(keys.length)
    expect(probeRequestFor(clusterWith({ virtual_ipaddress: ['2001:db8::200/64'] })).sysctls).toEqual(keys)
    expect(fileOf('file/sysctl').content.split('\n').slice(1)).toEqual(['net.ipv4.ip_nonlocal_bind = 1', ''])
  })

  test('uses paths of the closed list only', () => {
    const paths = [clusterWith(), classicWith()].flatMap(cluster => desired(cluster).flatMap(r => ('path' in r ? [r.path] : [])))
    expect(paths.length).toBeGreaterThan(0)
    expect(paths.filter(path => !MANAGED_PATHS.includes(path))).toEqual([])
  })

  test('is the same for the same cluster and facts, and differs between servers only in what names their own addresses', () => {
    expect(desired()).toEqual(desired())
    const other = desired(clusterWith(), 'srv-2')
    const differing = desired().filter((r, i) => JSON.stringify(r) !== JSON.stringify(other[i]))
    expect(differing.map(r => r.id)).toEqual([
      'file/open-connections-rules',
      'file/open-connections-settings',
      'file/open-connections',
      'file/keepalived.conf',
      'service/keepalived',
    ])
  })

  test("says in the first line of every rendered file, below a script's first, where it comes from", () => {
    for (const resource of desired()) {
      if (resource.kind !== 'file') continue
      const lines = resource.content.split('\n').filter(l => !l.startsWith('#!'))
      expect(lines[0]).toMatch(/^# hactl made this file from an inventory/)
    }
  })

  test('identifies a service by what it must have loaded', () => {
    const services = desired().filter(r => r.kind === 'service')
    expect(services.map(s => s.loadedHash)).toEqual([
      sha256(fileOf('file/haproxy.cfg').content),
      sha256(fileOf('file/keepalived.conf').content),
    ])
  })

  test('makes the file with the password unreadable for other users', () => {
    expect(fileOf('file/keepalived.conf').mode).toBe('0640')
  })

  test.for<[string, string]>([
    ['stats auth admin:hunter2', '0640'],
    ['stats uri /haproxy', '0644'],
  ])('with "%s" in it haproxy.cfg is %s', ([line, mode]) => {
    const cluster = clusterWith({}, { haproxy: { ...HAPROXY, defaults: ['timeout client 30s', line] } })
    const cfg = desiredNode(cluster, 'srv-1', factsOfServer(cluster, 'srv-1')).resources.find(r => r.id === 'file/haproxy.cfg')
    expect(cfg).toMatchObject({ mode })
  })

  test('has every file checked by the program that will read it, and keepalived.conf without a message', () => {
    expect(fileOf('file/haproxy.cfg').validation?.argv).toEqual(['haproxy', '-c', '-f', '{}'])
    const check = { argv: ['keepalived', '-t', '-f', '{}'], mustBeSilent: true, alsoStaged: ['/usr/local/bin/haproxy-service-check.sh'] }
    expect(fileOf('file/keepalived.conf').validation).toEqual({
      ...check,
      before: expect.objectContaining({ masked: 'make_missing_trackers' }),
    })
    expect(fileOf('file/keepalived.conf', classicWith()).validation).toEqual(check)
    expect(fileOf('file/check-script').validation?.argv).toEqual(['sh', '-n', '{}'])
    expect(fileOf('file/check-program').validation?.argv).toEqual(['perl', '-c', '{}'])
    expect(fileOf('file/service-hooks').validation?.argv).toEqual(['sh', '-n', '{}'])
    expect(fileOf('file/open-connections-rules').validation?.argv).toEqual(['nft', '-c', '-f', '{}'])
    // Before keepalived.conf: keepalived 2.3.3 refuses a track file whose folder is missing.
    expect(fileOf('file/tmpfiles').validation?.argv).toEqual(['systemd-tmpfiles', '--create', '{}'])
  })
})

describe('masks', () => {
  /** As engine and views apply them: flags "gm", the second group hidden. */
  const masked = (text: string, masks: readonly string[]) => masks.reduce((t, mask) => t.replace(new RegExp(mask, 'gm'), '$1***'), text)

  test("hide keepalived's password and nothing else", () => {
    const { content, masks } = fileOf(
      'file/keepalived.conf',
      classicWith({ authentication: { auth_type: 'PASS', auth_pass: { env: 'X' } } }),
    )
    expect(masked(content, masks)).toBe(content.replace('pass1234', '***'))
  })

  test.for<[string, string]>([
    ['stats auth admin:secret', 'stats auth admin:***'],
    ['    user ops insecure-password secret groups g', '    user ops insecure-password *** groups g'],
    ['  user ops password $6$secret', '  user ops password ***'],
    ['http-request set-header Authorization "Basic secret"', 'http-request set-header Authorization "Basic ***"'],
    ['user haproxy', 'user haproxy'],
  ] as const)('turn %s into %s', ([line, shown]) => {
    expect(masked(line, fileOf('file/haproxy.cfg').masks)).toBe(shown)
  })
})

describe('once a service is active', () => {
  test('fast says that haproxy is up; classic has nothing to say', () => {
    const lines = (cluster = clusterWith()) => desired(cluster).flatMap(r => (r.kind === 'service' ? r.whenActive : []))
    expect(lines().map(({ masked }) => masked)).toEqual(['say_haproxy_runs', 'say_haproxy_runs_to_keepalived'])
    expect(lines(classicWith())).toEqual([])
  })

  test('missing track files are made, never with a running haproxy as down, and existing ones stay', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hactl-desired-'))
    const script = desired(clusterWith()).flatMap(r => (r.id === 'service/keepalived' && r.kind === 'service' ? r.whenActive : []))
    writeFileSync(join(folder, 'drain'), '-253\n')
    try {
      // A shell function replaces systemctl: haproxy is active.
      execFileSync('sh', ['-c', `systemctl() { true; }\n${joinScripts(script).raw.replaceAll('/run/hactl', folder)}`])
      const values = ['drain', 'haproxy_down', 'haproxy_offset', 'keepalived_offset'].map(name =>
        readFileSync(join(folder, name), 'utf8').trim(),
      )
      expect(values).toEqual(['-253', '0', '0', '0'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
