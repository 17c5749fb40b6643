import { describe, expect, test } from 'vitest'
import { lintKeepalivedConf } from '../../../src/domain/keepalived/lint.ts'
import { renderKeepalivedConf } from '../../../src/domain/keepalived/config.ts'
import { classicWith, clusterWith, factsOfServer } from '../example.ts'

/** The configuration of the article, as it is printed there. */
const ARTICLE = `
global_defs {
notification_email {
    name@example.com
}
    notification_email_from sender@example.com
    smtp_server localhost
    smtp_connect_timeout 30
}

vrrp_script chk_haproxy_service_status {
    script      "sh /usr/local/bin/haproxy-service-check.sh"
    interval 2
    fall 2
    rise 2
    timeout 2
    weight 5
}

vrrp_instance VRRP1 {
    state MASTER
    interface ens160
    virtual_router_id 66
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass pass1234
    }
    virtual_ipaddress {
        192.0.2.200
    }
    track_script {
        chk_haproxy_service_status
}
}
`

const errorsOf = (text: string) => lintKeepalivedConf(text).errors.map(i => `${i.line} ${i.path}: ${i.message}`)
const warningsOf = (text: string) => lintKeepalivedConf(text).warnings.map(i => `${i.line} ${i.path}: ${i.message}`)
const changed = (from: string | RegExp, to: string) => {
  const text = ARTICLE.replace(from, to)
  if (text === ARTICLE) throw new Error(`${String(from)} is not in the file`)
  return text
}

describe("the article's keepalived.conf", () => {
  test('has no errors', () => {
    expect(errorsOf(ARTICLE)).toEqual([])
  })

  test('gives warnings, each with its line and its fix', () => {
    const { warnings } = lintKeepalivedConf(ARTICLE)
    expect(warnings.map(w => w.path)).toEqual([
      'global_defs.notification_email',
      'global_defs.smtp_server',
      'global_defs.enable_script_security',
      'vrrp_script chk_haproxy_service_status.script',
      'vrrp_instance VRRP1.garp_master_refresh',
      'vrrp_instance VRRP1.state',
      'vrrp_instance VRRP1.authentication',
      'vrrp_instance VRRP1.virtual_ipaddress',
      'vrrp_instance VRRP1.track_script',
    ])
    expect(warnings.every(w => w.fix !== undefined && w.line !== undefined)).toBe(true)
    expect(warnings.at(-1)).toMatchObject({ line: 34, message: expect.stringContaining('priority above 95') })
  })
})

test.for([
  ['fast', clusterWith()],
  ['classic', classicWith({}, { global_defs: { notification_email: ['name@example.com'], smtp_server: 'localhost' } })],
] as const)('what hactl renders for %s has no errors', ([, cluster]) => {
  expect(errorsOf(renderKeepalivedConf(cluster, 'srv-1', factsOfServer(cluster, 'srv-1')))).toEqual([])
})

describe('errors', () => {
  test.for([
    ['priority 255', changed('priority 100', 'priority 255'), '255 makes keepalived drop every check'],
    ['priority 254 with a positive weight', changed('priority 100', 'priority 254'), 'the address never moves'],
    ['nopreempt with a weight', changed('advert_int 1', 'nopreempt'), 'never takes over'],
    [
      'nopreempt with a weighted interface',
      changed('advert_int 1', 'nopreempt\ntrack_interface {\n eth1 weight -20\n}').replace('weight 5', 'weight 0'),
      '(eth1, weight -20)',
    ],
    [
      'nopreempt with a weighted process',
      `${changed('advert_int 1', 'nopreempt\ntrack_process {\n ha\n}').replace('weight 5', 'weight 0')}vrrp_track_process ha {\n process haproxy\n weight 10\n}\n`,
      '(ha, weight 10)',
    ],
    [
      'its own address among the peers',
      changed('advert_int 1', 'unicast_src_ip 192.0.2.11\nunicast_peer {\n192.0.2.11\n192.0.2.12\n}'),
      "this server's own address",
    ],
    [
      'the virtual address among the peers',
      changed('advert_int 1', 'unicast_src_ip 192.0.2.11\nunicast_peer {\n192.0.2.200\n192.0.2.12\n}'),
      'holds the virtual address 192.0.2.200',
    ],
    [
      'a check that is not defined',
      changed(/track_script \{\n.*\n/, 'track_script {\n chk_haproxy\n'),
      'there is no vrrp_script chk_haproxy',
    ],
    ['a fraction in VRRPv2', changed('advert_int 1', 'advert_int 0.5'), 'whole seconds'],
    ['no virtual address', changed(/virtual_ipaddress \{[^}]*\}/, ''), 'nothing to fail over'],
    ['no number', changed('virtual_router_id 66', ''), 'must be a number from 1 to 255'],
    ['no interface', changed('interface ens160', ''), 'is missing'],
    ['two families', changed('192.0.2.200', '192.0.2.200\n2001:db8::200'), 'one family'],
    ['script security without a user', changed('global_defs {', 'global_defs {\n enable_script_security'), 'no user keepalived_script'],
    [
      'a check of weight 0 through the virtual address',
      changed('"sh /usr/local/bin/haproxy-service-check.sh"', '"/usr/bin/curl http://192.0.2.200/"').replace('weight 5', 'weight 0'),
      'no backup holds',
    ],
    ['a weighted check in a sync group', `${ARTICLE}vrrp_sync_group G {\n group {\n VRRP1\n }\n}\n`, 'is in a sync group'],
    [
      'the same number twice',
      `${ARTICLE}vrrp_instance B {\n interface ens160\n virtual_router_id 66\n virtual_ipaddress { 192.0.2.201 }\n}\n`,
      'VRRP1 has the same number',
    ],
    ['braces that do not match', `${ARTICLE}}`, 'closing brace'],
    ['no instance', 'global_defs {\n}\n', 'no vrrp_instance'],
  ] as const)('%s', ([, text, message]) => {
    expect(errorsOf(text).join('\n')).toContain(message)
  })
})

describe('warnings', () => {
  test.for([
    ['state MASTER beside preempt_delay', changed('advert_int 1', 'preempt_delay 20'), 'is ignored with state MASTER'],
    ['preempt_delay with a weight', changed('advert_int 1', 'preempt_delay 20').replace('MASTER', 'BACKUP'), 'delays failover too'],
    ['vrrp_strict', changed('global_defs {', 'global_defs {\n vrrp_strict'), 'drops packets'],
    ['the most common number', changed('virtual_router_id 66', 'virtual_router_id 51'), 'most examples'],
    ['no check at all', changed(/track_script \{\n.*\n\}/, ''), 'nothing is tracked'],
    ['no weight', changed('weight 5', ''), 'the default is 0'],
    ['a fraction of a second', changed('interval 2', 'interval 0.5'), 'before 2.3.2 ignores 0.5'],
    ['a timeout beyond the interval', changed('timeout 2', 'timeout 5'), 'longer than the interval'],
    [
      'a check for a process',
      changed('"sh /usr/local/bin/haproxy-service-check.sh"', '"/usr/bin/pidof haproxy"'),
      'a hung haproxy keeps the address',
    ],
    [
      'nopreempt with a weighted file of somebody',
      `${changed('advert_int 1', 'nopreempt\ntrack_file {\n low\n}').replace('weight 5', 'weight 0').replace('MASTER', 'BACKUP')}track_file low {\n file "/etc/low"\n weight 2\n}\n`,
      'moves nothing unless it is below -253',
    ],
    ['a process that is tracked', changed('advert_int 1', 'track_process {\n ha\n}'), 'nobody holds the address'],
    ['strict_mode', changed('advert_int 1', 'strict_mode on'), 'answers nobody'],
    ['no_accept', changed('advert_int 1', 'no_accept'), 'answers nobody'],
    ['no prefix length', ARTICLE, '192.0.2.200 has no prefix length: keepalived takes /32'],
    ['a password with the mark of a comment', changed('pass1234', 'ab!cdef'), 'auth_pass ends at its ! or #'],
    ['haproxy stopped on a backup', changed('advert_int 1', 'notify_backup "systemctl stop haproxy"'), 'starts or stops haproxy'],
    ['a password in VRRPv3', changed('advert_int 1', 'version 3'), 'VRRPv3 has none'],
    ['an included file', `${ARTICLE}include more.conf\n`, 'is not read here'],
    ['a track file under /run', `${ARTICLE}track_file down {\n file "/run/x/down"\n weight 0\n}\n`, 'empty after a boot'],
    [
      'init_file',
      `${ARTICLE}track_file down {\n file "/etc/down"\n weight 0\n init_file 1\n}\n`,
      'overwrite /etc/down with it at every start',
    ],
  ] as const)('%s', ([, text, message]) => {
    expect(errorsOf(text)).toEqual([])
    expect(warningsOf(text).join('\n')).toContain(message)
  })
})

test('no message shows the password', () => {
  const { errors, warnings } = lintKeepalivedConf(changed('pass1234', 'secretsecret'))
  expect(JSON.stringify([errors, warnings])).not.toContain('secret')
  expect(warnings.some(w => w.message.includes('cut off'))).toBe(true)
})

test.each([
  ['a password in quotes', changed('pass1234', '"ab!cdef"'), 'auth_pass ends'],
  ['a comment behind the password', changed('pass1234', 'pass1234 # ours'), 'auth_pass ends'],
  ['strict_mode off', changed('advert_int 1', 'strict_mode off'), 'answers nobody'],
  ['an init_file that is to overwrite', `${ARTICLE}track_file down {\n file "/etc/down"\n init_file 1 overwrite\n}\n`, 'at every start'],
  ['a prefix length', changed('192.0.2.200', '192.0.2.200/24'), 'no prefix length'],
])('nothing is said of %s', (_what, text, message) => {
  expect([...errorsOf(text), ...warningsOf(text)].join('\n')).not.toContain(message)
})

test('the folder of track files that hactl itself makes at boot is accepted, and so are its offsets where no server preempts', () => {
  for (const cluster of [clusterWith(), clusterWith({ nopreempt: true })])
    expect(warningsOf(renderKeepalivedConf(cluster, 'srv-1', factsOfServer(cluster, 'srv-1')))).toEqual([])
})
