import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildCluster } from '../../../src/domain/cluster.ts'
import { classifyKeepalivedChange } from '../../../src/domain/keepalived/classify.ts'
import { renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import { type ImportedConf, importKeepalivedConfs } from '../../../src/domain/keepalived/import.ts'
import { nodeFactsFor } from '../../../src/domain/node-facts.ts'
import type { Inventory } from '../../../src/inventory/inventory.ts'
import { knownKeys } from '../../../src/inventory/json-schema.ts'
import { addresses, HAPROXY, observed } from '../example.ts'

const rendered = join(import.meta.dirname, '../../../fixtures/rendered')

const importConfs = (confs: ReadonlyMap<string, string>) =>
  importKeepalivedConfs(confs, { globals: knownKeys(['global_defs']), instance: knownKeys(['vrrp_instances', 0]) })

/** keepalived.conf of every server as the imported inventory would write it. */
function renderedAgain(imported: ImportedConf, names: readonly string[]): ReadonlyMap<string, string> {
  const inventory: Inventory = {
    profile: imported.profile,
    servers: names.map((name, at) => ({ name, host: `192.0.2.1${at + 1}` })),
    global_defs: imported.globalDefs,
    vrrp_script: imported.vrrpScript,
    vrrp_instances: imported.instances.map(instance => {
      const own = imported.authentication.get(instance.name)
      return own === undefined ? instance : { ...instance, authentication: { auth_type: own.type, auth_pass: { file: 'x' } } }
    }),
    haproxy: HAPROXY,
  }
  const cluster = buildCluster(inventory, { authPass: name => imported.authentication.get(name)?.pass })
  const seen = names.map((name, at) => {
    const cards = cluster.instances.map(instance => instance.interface[name] ?? 'eth0')
    const own = [...new Set(cards)].flatMap(card => [
      `${card} 192.0.2.1${at + 1}/24`,
      `${card} 192.168.0.10${at + 1}/24`,
      `${card} 2001:db8::1${at + 1}/64`,
    ])
    return [name, observed(addresses(...own))] as const
  })
  const facts = nodeFactsFor(cluster, Object.fromEntries(seen))
  return new Map(
    names.map(name => {
      const own = facts[name]
      if (own === undefined) throw new Error(`no facts of ${name}`)
      return [name, renderKeepalivedConf(cluster, name, own)]
    }),
  )
}

test.for(readdirSync(rendered))('what hactl wrote for %s is imported as an inventory that writes the same bytes', inventory => {
  const names = readdirSync(join(rendered, inventory)).toSorted()
  const confs = new Map(names.map(name => [name, readFileSync(join(rendered, inventory, name, 'keepalived.conf'), 'utf8')]))
  const imported = importConfs(confs)
  expect(imported.notes.filter(note => !note.startsWith('notification_email is set'))).toEqual([])
  expect(renderedAgain(imported, names)).toEqual(confs)
})

/** As somebody would write it by hand. */
const byHand = (priority: number, state = 'BACKUP', more = '') => `
! two balancers
global_defs {
  notification_email {
    ops@example.com
  }
  notification_email_from lb@example.com
  smtp_server 192.0.2.25
  smtp_connect_timeout 30
  router_id LB_${priority}
}
vrrp_script chk_haproxy {
  script       "/usr/bin/killall -0 haproxy"
  interval 2
  weight 5
}
vrrp_instance VI_1
{
    state ${state}
    interface ens160
    virtual_router_id 66
    priority ${priority}
    authentication {
        auth_type PASS
        auth_pass pass1234
    }
    virtual_ipaddress {
        192.0.2.200/24 dev ens160
    }
    track_script { chk_haproxy }
    ${more}
}
`

describe('a file written by hand', () => {
  const confs = new Map([
    ['srv-1', byHand(101, 'MASTER')],
    ['srv-2', byHand(100)],
  ])

  test('gives every value that an inventory can express', () => {
    const imported = importConfs(confs)
    expect(imported).toMatchObject({
      profile: 'classic',
      globalDefs: {
        notification_email: ['ops@example.com'],
        notification_email_from: 'lb@example.com',
        smtp_server: '192.0.2.25',
        smtp_connect_timeout: 30,
      },
      vrrpScript: { interval: 2, fall: 1, rise: 1, timeout: 2, weight: 5 },
      instances: [
        {
          name: 'VI_1',
          interface: 'ens160',
          virtual_router_id: 66,
          priority: { 'srv-1': 101, 'srv-2': 100 },
          advert_int: 1,
          version: 2,
          virtual_ipaddress: ['192.0.2.200/24'],
          unicast_peer: false,
          smtp_alert: false,
        },
      ],
    })
    expect(imported.authentication.get('VI_1')?.pass.reveal()).toBe('pass1234')
    expect(JSON.stringify([imported.instances, imported.notes])).not.toContain('pass1234')
  })

  test('says what it could not carry', () => {
    expect(importConfs(confs).notes).toEqual([
      'global_defs.router_id differs from server to server: it was left out, and keepalived uses the host name',
      'vrrp_script chk_haproxy runs "/usr/bin/killall -0 haproxy"; hactl replaces it with a check of its own',
      'vrrp_instance VI_1: notification_email is set, but without smtp_alert keepalived sends no mail; smtp_alert: true would',
    ])
  })

  test('is replaced by one that can be rolled out one server after the other', () => {
    const again = renderedAgain(importConfs(confs), ['srv-1', 'srv-2'])
    for (const [server, text] of confs) expect(classifyKeepalivedChange(text, again.get(server) ?? '').class).toBe('local')
  })
})

test.for([
  ['notify_master "/usr/local/bin/notify.sh"', 'vrrp_instance VI_1: notify_master is not carried over: hactl has no setting for it'],
  ['track_interface {\n eth1\n }', 'vrrp_instance VI_1: track_interface is not carried over: hactl has no setting for it'],
  [
    'virtual_ipaddress_excluded {\n 2001:db8::200/64\n }',
    'vrrp_instance VI_1: virtual_ipaddress_excluded is not carried over: hactl has no setting for it',
  ],
  ['virtual_routes {\n 198.51.100.0/24\n }', 'vrrp_instance VI_1: virtual_routes is not carried over: hactl has no setting for it'],
  ['}\nvirtual_server 192.0.2.200 80 {', 'virtual_server 192.0.2.200 is not carried over: hactl has no setting for it'],
  ['}\ninclude /etc/keepalived/more.conf\nvrrp_sync_group G {', 'vrrp_sync_group G is not carried over: hactl has no setting for it'],
] as const)('%s is told as not carried over', ([more, note]) => {
  const { notes } = importConfs(new Map([['srv-1', byHand(101, 'MASTER', more)]]))
  expect(notes).toContain(note)
})

test.for([
  ['0', undefined],
  ['0.0', undefined],
  ['0.01', 0.01],
] as const)('vrrp_garp_interval %s, of which keepalived takes no 0, is imported as what runs', ([written, interval]) => {
  const text = byHand(101, 'MASTER').replace('smtp_connect_timeout 30', `vrrp_garp_interval ${written}`)
  const { globalDefs, notes } = importConfs(new Map([['srv-1', text]]))
  expect(globalDefs.vrrp_garp_interval).toBe(interval)
  expect(notes.join()).not.toContain('garp')
})

test('an included file is reported as not read', () => {
  const { notes } = importConfs(new Map([['srv-1', `include /etc/keepalived/conf.d/*.conf\n${byHand(101)}`]]))
  expect(notes).toContain('srv-1: keepalived.conf line 1: /etc/keepalived/conf.d/*.conf is included, and was not read')
})

describe('servers that disagree', () => {
  const notesOf = (first: string, second: string) =>
    importConfs(
      new Map([
        ['srv-1', first],
        ['srv-2', second],
      ]),
    ).notes

  test('are reported, and the first one is used', () => {
    const second = byHand(100).replace('virtual_router_id 66', 'virtual_router_id 67')
    expect(notesOf(byHand(101), second)).toContain(
      'vrrp_instance VI_1: virtual_router_id is 66 on srv-1, 67 on srv-2: that of srv-1 was taken',
    )
  })

  test('about the password are reported without it', () => {
    const notes = notesOf(byHand(101), byHand(100).replace('pass1234', 'other123')).join()
    expect(notes).toContain("the servers have different passwords and refuse each other's adverts")
    expect(notes).not.toMatch(/pass1234|other123/)
  })

  test('about which of them has the instance are reported', () => {
    const second = byHand(100).replace('VI_1', 'VI_2')
    expect(notesOf(byHand(101), second)).toContain('vrrp_instance VI_1 runs on srv-1 only: hactl puts every instance on every server')
  })

  test('about the master are reported: the state is a hint, the priority decides', () => {
    expect(notesOf(byHand(100, 'MASTER'), byHand(150))).toContain(
      'vrrp_instance VI_1: srv-1 has state MASTER, but not the highest priority: hactl uses the priority',
    )
  })
})

describe('unicast', () => {
  const unicast = (own: number, ...peers: readonly number[]) =>
    byHand(100 + own, 'BACKUP', `unicast_src_ip 192.0.2.${own}\nunicast_peer {\n${peers.map(peer => `192.0.2.${peer}`).join('\n')}\n}`)

  test('between all servers is true, with their source addresses', () => {
    const { instances, notes } = importConfs(
      new Map([
        ['srv-1', unicast(11, 12, 13)],
        ['srv-2', unicast(12, 11, 13)],
        ['srv-3', unicast(13, 11, 12)],
      ]),
    )
    expect(instances[0]).toMatchObject({
      unicast_peer: true,
      unicast_src_ip: { 'srv-1': '192.0.2.11', 'srv-2': '192.0.2.12', 'srv-3': '192.0.2.13' },
    })
    expect(notes.join()).not.toContain('adverts')
  })

  test('that leaves a server out is reported', () => {
    const { notes } = importConfs(
      new Map([
        ['srv-1', unicast(11, 12)],
        ['srv-2', unicast(12, 11, 13)],
        ['srv-3', unicast(13, 11, 12)],
      ]),
    )
    expect(notes).toContain('vrrp_instance VI_1: srv-1 does not send adverts to 192.0.2.13: with hactl each server sends to all others')
  })

  test('without source addresses has all addresses that the files name', () => {
    const peersOnly = (priority: number, peer: number) => byHand(priority, 'BACKUP', `unicast_peer {\n192.0.2.${peer}\n}`)
    const { instances, notes } = importConfs(
      new Map([
        ['srv-1', peersOnly(101, 12)],
        ['srv-2', peersOnly(100, 11)],
      ]),
    )
    expect(instances[0]?.unicast_peer).toEqual(['192.0.2.12', '192.0.2.11'])
    expect(notes.join()).not.toContain('adverts')
  })
})

test('an IPv6 instance is of version 3 whatever the file says', () => {
  const text = byHand(100).replaceAll('192.0.2.200/24 dev ens160', '2001:db8::200/64')
  expect(importConfs(new Map([['srv-1', text]])).instances[0]).toMatchObject({
    version: 3,
    virtual_ipaddress: ['2001:db8::200/64'],
  })
})
