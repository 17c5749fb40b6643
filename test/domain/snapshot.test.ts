import { describe, expect, test } from 'vitest'
import { desiredFromSnapshot } from '../../src/domain/desired-from-snapshot.ts'
import type { FileThen } from '../../src/domain/file-then.ts'
import { desiredNode } from '../../src/domain/desired.ts'
import { clusterAsConfigured } from '../../src/domain/keepalived/as-configured.ts'
import { KEEPALIVED_CONF, KEEPALIVED_DROPIN, TMPFILES_CONF } from '../../src/domain/paths.ts'
import type { DesiredNode } from '../../src/state/desired.ts'
import { classicWith, clusterWith, factsOf } from './example.ts'

/** The files of a server as its history keeps them. */
function filesThen(node: DesiredNode): readonly FileThen[] {
  return node.resources.flatMap(resource => (resource.kind === 'file' ? [resource] : []))
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the example has facts for every server')
  return value
}

describe.each([
  ['fast', clusterWith({ virtual_ipaddress: ['192.0.2.201/24', '192.0.2.202/24'], virtual_router_id: 77 })],
  ['classic', classicWith({ nopreempt: true }, { vrrp_script: { weight: 0 } })],
] as const)('going back to a %s deploy, whatever the inventory says today', (_, then) => {
  const facts = factsOf(then)
  const nodes = then.servers.map(server => desiredNode(then, server.name, known(facts[server.name])))
  const confs = new Map(
    nodes.map(node => [node.server, filesThen(node).find(file => file.path === KEEPALIVED_CONF)?.content ?? ''] as const),
  )

  test.each([
    ['classic', classicWith()],
    ['fast', clusterWith()],
  ] as const)('from %s wants the very same resources', (__, today) => {
    const cluster = clusterAsConfigured(today, confs)
    for (const node of nodes) {
      const again = desiredFromSnapshot(cluster, node.server, known(facts[node.server]), filesThen(node))
      const plain = (wanted: DesiredNode) =>
        wanted.resources.map(resource =>
          resource.kind === 'file'
            ? [resource.id, resource.path, resource.content, resource.mode]
            : resource.kind === 'service'
              ? [resource.id, resource.loadedHash, resource.whenActive]
              : resource,
        )
      expect(plain(again)).toEqual(plain(node))
    }
  })

  test('judges it by the keepalived.conf of that time', () => {
    const cluster = clusterAsConfigured(clusterWith(), confs)
    const shape = (c: typeof cluster) => ({
      profile: c.profile,
      instances: c.instances.map(i => ({
        name: i.name,
        vrid: i.virtualRouterId,
        priority: i.priority,
        advertIntMs: i.advertIntMs,
        version: i.version,
        addresses: i.virtualAddresses,
        nopreempt: i.nopreempt,
      })),
    })
    expect(shape(cluster)).toEqual(shape(then))
  })
})

test('opens no firewall by a script that did not exist yet', () => {
  const cluster = clusterWith({}, { firewall: 'open' })
  const iptables = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n'
  const firewall = { ufw: undefined, firewalld: false, netfilterPersistent: false, nft: undefined, iptables, ufwRules: [] }
  const facts = { ...known(factsOf(cluster)['srv-1']), firewall }
  const today = desiredNode(cluster, 'srv-1', facts)
  const kindsOf = (node: DesiredNode) => node.resources.filter(({ id }) => id.includes('firewall')).map(({ id, kind }) => `${kind} ${id}`)
  const before = filesThen(today).filter(({ path }) => !path.includes('firewall'))
  expect(kindsOf(desiredFromSnapshot(cluster, 'srv-1', facts, filesThen(today)))).toEqual(kindsOf(today))
  expect(kindsOf(desiredFromSnapshot(cluster, 'srv-1', facts, before))).toEqual([
    'absent-file file/firewall-unit',
    'absent-file file/firewall',
  ])
})

test('takes away the service that keeps open connections where there was none, and the hooks do not rely on it', () => {
  const cluster = clusterWith()
  const facts = known(factsOf(cluster)['srv-1'])
  const today = desiredNode(cluster, 'srv-1', facts)
  const kindsOf = (node: DesiredNode) =>
    node.resources.filter(({ id }) => id.includes('open-connections')).map(({ id, kind }) => `${kind} ${id}`)
  expect(kindsOf(desiredFromSnapshot(cluster, 'srv-1', facts, filesThen(today)))).toEqual(kindsOf(today))
  // As an earlier version wrote it: what makes the track files is then today's.
  const then = filesThen(today)
    .filter(({ path }) => !/open-connections|service-hooks/.test(path))
    .map(file =>
      file.path === KEEPALIVED_CONF
        ? { ...file, content: file.content.replace(/(file "\/run.*\n\s+weight (.)\n)/g, '$1    init_file $2\n') }
        : file,
    )
  const before = desiredFromSnapshot(cluster, 'srv-1', facts, then)
  expect(kindsOf(before)).toEqual([
    'absent-file absent/open-connections-program',
    'absent-file absent/open-connections-rules',
    'absent-file absent/open-connections-settings',
    'absent-file file/open-connections-unit',
    'absent-file file/open-connections',
  ])
  const hooks = before.resources.find(({ id }) => id === 'file/service-hooks')
  expect(hooks?.kind === 'file' ? hooks.content : '').toContain('\nKEEPS_OPEN=no\n')
})

test('restores a keepalived.conf without its init_file, with what makes the track files today', () => {
  const cluster = clusterWith()
  const facts = known(factsOf(cluster)['srv-1'])
  const today = desiredNode(cluster, 'srv-1', facts)
  // As an earlier version wrote them: init_file in every block of a track file, and units that make no track files.
  const before = filesThen(today).map(file => {
    if (file.path === KEEPALIVED_CONF)
      return { ...file, content: file.content.replace(/(file "\/run.*\n\s+weight (.)\n)/g, '$1    init_file $2\n') }
    return file.path === KEEPALIVED_DROPIN || file.path === TMPFILES_CONF ? { ...file, content: '# of then\n' } : file
  })
  const conf = before.find(({ path }) => path === KEEPALIVED_CONF)?.content
  expect(conf?.match(/init_file/g)).toHaveLength(4)
  expect(desiredFromSnapshot(cluster, 'srv-1', facts, before).resources).toEqual(
    desiredFromSnapshot(cluster, 'srv-1', facts, filesThen(today)).resources,
  )
  // Other track files are not hactl's.
  const foreign = before.map(file =>
    file.path === KEEPALIVED_CONF ? { ...file, content: (conf ?? '').replaceAll('/run/hactl', '/run/other') } : file,
  )
  const back = desiredFromSnapshot(cluster, 'srv-1', facts, foreign).resources.find(({ id }) => id === 'file/keepalived.conf')
  expect(back?.kind === 'file' && back.content.match(/init_file/g)).toHaveLength(4)
})
