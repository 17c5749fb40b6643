import { describe, expect, test } from 'vitest'
import { HactlError } from '../../../src/errors.ts'
import { Secret } from '../../../src/secret.ts'
import { buildCluster } from '../../../src/domain/cluster.ts'
import type { Cluster } from '../../../src/domain/cluster-types.ts'
import { isKeepalivedWord, renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import { child, listOf, parseKeepalivedConf, valueOf } from '../../../src/domain/keepalived/parse.ts'
import { classicWith, clusterWith, factsOfServer, inventoryWith } from '../example.ts'

const render = (cluster: Cluster, server = 'srv-1', version?: string) =>
  renderKeepalivedConf(cluster, server, factsOfServer(cluster, server, version))
const instanceOf = (text: string) => parseKeepalivedConf(text).nodes.find(n => n.words[0] === 'vrrp_instance')
const blockOf = (text: string, ...words: readonly string[]) =>
  parseKeepalivedConf(text).nodes.find(n => words.every((w, i) => n.words[i] === w))

describe('classic', () => {
  test('makes the highest priority MASTER and the others BACKUP', () => {
    const states = ['srv-1', 'srv-2', 'srv-3'].map(s => valueOf(instanceOf(render(classicWith(), s)), 'state'))
    expect(states).toEqual(['MASTER', 'BACKUP', 'BACKUP'])
    expect(valueOf(instanceOf(render(classicWith({ priority: { 'srv-2': 150 } }), 'srv-2')), 'state')).toBe('MASTER')
  })

  test.for([{ nopreempt: true }, { preempt_delay: 5 }])('is BACKUP everywhere with %j, which state MASTER would clear', instance => {
    const text = render(classicWith(instance))
    expect(valueOf(instanceOf(text), 'state')).toBe('BACKUP')
    expect(text).toContain(Object.keys(instance)[0])
  })

  test('has nothing of fast', () => {
    const text = render(classicWith())
    for (const word of ['unicast', 'track_file', 'vrrp_version', 'garp', '/run/']) expect(text).not.toContain(word)
  })
})

test('the shortest vrrp_garp_interval is written without an exponent, which keepalived would not read', () => {
  expect(render(clusterWith({}, { global_defs: { vrrp_garp_interval: 1e-6 } }))).toContain('    vrrp_garp_interval 0.000001\n')
})

describe('fast', () => {
  test('sends to every other server from its own address', () => {
    const instance = instanceOf(render(clusterWith(), 'srv-2'))
    expect(valueOf(instance, 'unicast_src_ip')).toBe('192.0.2.12')
    expect(listOf(instance, 'unicast_peer').map(n => n.words[0])).toEqual(['192.0.2.11', '192.0.2.13'])
  })

  test('leaves its own address out of given peers', () => {
    const instance = instanceOf(render(clusterWith({ unicast_peer: ['192.0.2.11', '192.0.2.12', '192.0.2.13'] }), 'srv-2'))
    expect(listOf(instance, 'unicast_peer').map(n => n.words[0])).toEqual(['192.0.2.11', '192.0.2.13'])
  })

  test('weighs its track files, and lets keepalived write to none of them', () => {
    const text = render(clusterWith())
    expect(text).not.toContain('init_file')
    expect(valueOf(blockOf(text, 'track_file', 'haproxy_down'), 'weight')).toBe('0')
    for (const offset of ['haproxy_offset', 'keepalived_offset', 'drain']) {
      expect(valueOf(blockOf(text, 'track_file', offset), 'weight')).toBe('1')
    }
    expect(listOf(instanceOf(text), 'track_file').map(n => n.words[0])).toEqual([
      'haproxy_down',
      'haproxy_offset',
      'keepalived_offset',
      'drain',
    ])
  })

  test('takes adverts from its peers only, where there are peers', () => {
    expect(render(clusterWith())).toContain('vrrp_check_unicast_src')
    expect(render(clusterWith({ unicast_peer: false }))).not.toContain('vrrp_check_unicast_src')
  })

  test('names track files as keepalived 2.0 does where that runs', () => {
    expect(render(clusterWith(), 'srv-1', '1:2.0.19-2ubuntu0.2')).toContain('\nvrrp_track_file drain {')
    expect(render(clusterWith(), 'srv-1', '1:2.1.5-0.2')).toContain('\ntrack_file drain {')
  })
})

test('instances of both VRRP versions each name their own version', () => {
  const vrrp_instances = [
    { name: 'A', virtual_router_id: 1, virtual_ipaddress: ['192.0.2.200/24'], version: 2 as const },
    { name: 'B', virtual_router_id: 2, virtual_ipaddress: ['192.0.2.201/24'] },
  ]
  const conf = parseKeepalivedConf(render(clusterWith({}, { vrrp_instances })))
  expect(conf.nodes.filter(n => n.words[0] === 'vrrp_instance').map(n => valueOf(n, 'version'))).toEqual(['2', '3'])
})

test('times are written without needless digits', () => {
  expect(valueOf(instanceOf(render(clusterWith())), 'advert_int')).toBe('0.2')
  expect(valueOf(instanceOf(render(classicWith())), 'advert_int')).toBe('1')
})

describe('a value that keepalived would misread', () => {
  const passOf = (pass: string) => {
    const authentication = { auth_type: 'PASS', auth_pass: { env: 'X' } } as const
    const cluster = buildCluster(inventoryWith({ authentication }, { profile: 'classic' }), { authPass: () => new Secret(pass) })
    return valueOf(child(instanceOf(render(cluster)), 'authentication'), 'auth_pass')
  }

  test.for(['', 'a b', 'a#b', 'a!b', 'a"b', 'a{b', '@a', 'a\nb', 'a$b', 'ä'])('is refused: %j', text => {
    expect(isKeepalivedWord(text)).toBe(false)
  })

  test('of a password only the first 8 characters are written, which keepalived uses', () => {
    expect(passOf('pass1234')).toBe('pass1234')
    expect(passOf('pass12345')).toBe('pass1234')
  })

  test.for(['', 'two words', 'hash#1', 'x\n}\nvrrp_instance X {'])('a password like %j is refused without showing it', pass => {
    let error: unknown
    try {
      passOf(pass)
    } catch (thrown) {
      error = thrown
    }
    if (!(error instanceof HactlError)) throw new Error('it was not refused')
    expect(error.code).toBe('E_SECRET')
    expect(pass !== '' && `${error.message} ${error.why.join()} ${error.fix}`.includes(pass)).toBe(false)
  })

  test('a fraction of a second is refused for a keepalived that ignores it', () => {
    const cluster = clusterWith({}, { vrrp_script: { interval: 0.5 } })
    expect(() => render(cluster)).toThrow('srv-1: vrrp_script.interval is 0.5 s, and keepalived 2.2.7 takes whole seconds only')
    expect(valueOf(blockOf(render(cluster, 'srv-1', '1:2.3.3-1'), 'vrrp_script'), 'interval')).toBe('0.5')
  })
})

test('words are separated by single blanks, and the file ends with a line feed', () => {
  for (const text of [render(clusterWith()), render(classicWith())]) {
    expect(text).not.toMatch(/\S {2,}\S|\t|[ \t]\n/)
    expect(text.endsWith('}\n')).toBe(true)
  }
})
