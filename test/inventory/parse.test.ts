import { describe, expect, test } from 'vitest'
import { parseInventory } from '../../src/inventory/parse.ts'

const rest = `
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 66, virtual_ipaddress: [192.0.2.200/24] }
haproxy:
  config: haproxy.cfg
`
const servers = 'servers: [{ name: srv-1, host: 192.0.2.11 }, { name: srv-2, host: 192.0.2.12 }]'
const parse = (text: string) => parseInventory(text, 'inventory.yml')
const warningsOf = (text: string) => parse(text).warnings.map(({ path, message }) => `${path}: ${message}`)

describe('parseInventory', () => {
  test('gives the inventory as it was written, without defaults, with a bare secret as a literal', () => {
    const { inventory, issues } = parse(`become_password: hunter2\n${servers}${rest}`)
    expect(issues).toEqual([])
    expect(inventory).toEqual({
      become_password: { literal: 'hunter2' },
      servers: [
        { name: 'srv-1', host: '192.0.2.11' },
        { name: 'srv-2', host: '192.0.2.12' },
      ],
      vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 66, virtual_ipaddress: ['192.0.2.200/24'] }],
      haproxy: { config: 'haproxy.cfg' },
    })
  })

  test('reports faults of every kind at once, in the order of the file', () => {
    const { inventory, issues, warnings } = parse(`profil: fast
cluster: a
cluster: b
become: yes
servers:
  - { name: srv-1, host: 192.0.2.11 }
  - { name: srv-1, hots: 192.0.2.12 }
vrrp_instances:
  - { name: V1, virtual_router_id: 300, advertint: 1, virtual_ipaddress: [192.0.2.200/24] }
  - { name: V1, virtual_router_id: 67, virtual_ipaddress: [192.0.2.200], authentication: { auth_type: PASS, auth_pass: pass12345 } }
haproxy:
  frontends:
    - { name: web, bind: [":80"], default_backend: ap }
  backends:
    - { name: app, servers: [{ name: app-1, address: "192.0.2.111:80" }] }
`)
    expect(inventory).toBeUndefined()
    expect(issues.map(({ line, column, path, fix }) => [line, column, path, fix])).toEqual([
      [1, 1, 'profil', 'did you mean profile?'],
      [3, 1, 'cluster', 'keep one of them'],
      [4, 9, 'become', 'YAML 1.2 reads yes as text: write true'],
      [7, 5, 'servers[1].host', undefined],
      [7, 13, 'servers[1].name', 'give each server a name of its own'],
      [7, 20, 'servers[1].hots', 'did you mean host?'],
      [9, 36, 'vrrp_instances[0].virtual_router_id', undefined],
      [9, 41, 'vrrp_instances[0].advertint', 'did you mean advert_int?'],
      [10, 13, 'vrrp_instances[1].name', 'give each instance a name of its own'],
      [10, 60, 'vrrp_instances[1].virtual_ipaddress[0]', 'name each virtual address once'],
      [13, 52, 'haproxy.frontends[0].default_backend', 'did you mean app?'],
    ])
    expect(warnings.map(({ path }) => path)).toEqual([
      'vrrp_instances[1].authentication.auth_pass',
      'vrrp_instances[1].authentication.auth_pass',
    ])
  })

  test('follows an alias, and places a fault in it at the alias', () => {
    const { issues } = parse(
      `ssh: &ssh { user: ops, port: 0 }\nservers: [{ name: srv-1, host: 192.0.2.11, ssh: *ssh }, { name: srv-2, host: 192.0.2.12 }]${rest}`,
    )
    expect(issues.map(({ line, column, path }) => [line, column, path])).toEqual([
      [1, 30, 'ssh.port'],
      [2, 49, 'servers[0].ssh.port'],
    ])
  })

  test('accepts merge keys', () => {
    const { inventory } = parse(
      `ssh: &ssh { user: ops }\nservers: [{ name: srv-1, host: 192.0.2.11, ssh: { <<: *ssh, port: 2222 } }, { name: srv-2, host: 192.0.2.12 }]${rest}`,
    )
    expect(inventory?.servers[0]?.ssh).toEqual({ user: 'ops', port: 2222 })
  })

  test.for([
    ['literal', '"secret word"'],
    ['number', '12345678'],
    ['list', '[hunter2]'],
    ['wrong characters', '{ literal: "hunter2#" }'],
    ['unknown source', '{ vault: hunter2 }'],
    ['unfinished quote', '"hunter2'],
  ])('never shows a secret that it refuses: %s', ([, secret]) => {
    const { issues } = parse(
      `${servers}\nvrrp_instances:\n  - { name: V, virtual_router_id: 66, virtual_ipaddress: [192.0.2.200], authentication: { auth_type: PASS, auth_pass: ${secret} } }\nhaproxy: { config: haproxy.cfg }`,
    )
    expect(issues.length).toBeGreaterThan(0)
    expect(JSON.stringify(issues)).not.toMatch(/hunter2|secret word|12345678/)
  })

  test('shows a refused value short and without control characters', () => {
    const { issues } = parse(`cluster: "\\e[31m\\x9b\\u202e${'x'.repeat(100)}"\n${servers}${rest}`)
    expect(issues[0]?.message).toMatch(/, not "\\u001b\[31m\?\?x{20,50}\.\.\.$/)
  })

  test('stops counting at 200 problems', () => {
    const { issues } = parse(`servers: [${Array(32).fill('{ a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 }').join(', ')}]${rest}`)
    expect(issues).toHaveLength(201)
    expect(issues.at(-1)).toEqual({ path: '', message: 'and 56 more' })
  })

  test('allows two instances with one number where they share no network', () => {
    const instance = (name: string, extra: string) => `  - { name: ${name}, virtual_router_id: 66, ${extra} }\n`
    const text = `${servers}\nvrrp_instances:\n${instance('A', 'virtual_ipaddress: [192.0.2.200/24]')}${instance('B', 'virtual_ipaddress: ["2001:db8::200/64"]')}${instance('C', 'virtual_ipaddress: [198.51.100.200/24]')}haproxy: { config: haproxy.cfg }`
    expect(parse(text).issues).toEqual([])
  })

  test('accepts fractions of a second as advert_int where the version is 3', () => {
    for (const advert of ['0.2', '0.01', '40.95', '0.29']) {
      expect(parse(`${servers}${rest.replace('66,', `66, advert_int: ${advert},`)}`).issues).toEqual([])
    }
    expect(parse(`${servers}${rest.replace('66,', '66, advert_int: 0.205,')}`).issues).toHaveLength(1)
    expect(parse(`profile: classic\n${servers}${rest.replace('66,', '66, advert_int: 255,')}`).issues).toEqual([])
  })
})

describe('warnings', () => {
  const inventory = (top: string, instance = '', haproxy = 'config: haproxy.cfg') =>
    `${top}\n${servers}\nvrrp_instances:\n  - { name: V, virtual_router_id: 66, virtual_ipaddress: [192.0.2.200]${instance} }\nhaproxy: { ${haproxy} }`

  test.for([
    [
      'a secret in the file',
      inventory('become_password: x'),
      'become_password: the secret is in the file itself: whoever reads the inventory has it',
    ],
    [
      'a literal that is marked as one',
      inventory('', ', authentication: { auth_type: PASS, auth_pass: { literal: pass1234 } }'),
      'vrrp_instances[0].authentication.auth_pass: the secret is in the file itself: whoever reads the inventory has it',
    ],
    [
      'a password that is never used',
      inventory('become: false\nbecome_password: { env: X }'),
      'become_password: is never used: become is false',
    ],
    [
      'equal priorities',
      inventory('', ', priority: { srv-1: 100, srv-2: 100 }'),
      'vrrp_instances[0].priority.srv-2: 100 is the priority of srv-1 too: both may become master at once',
    ],
    [
      'the number of most examples',
      inventory('').replace('66', '51'),
      'vrrp_instances[0].virtual_router_id: 51 is the number in most examples, so another cluster on this network may have it',
    ],
    [
      'mail without a server',
      inventory('global_defs: { notification_email: [ops@example.com] }'),
      'global_defs.notification_email: no mail is sent: keepalived knows no mail server unless one is named',
    ],
    [
      'a mail server without recipients',
      inventory('global_defs: { smtp_server: localhost }'),
      'global_defs.smtp_server: no mail is sent: there is no notification_email',
    ],
    [
      'a mail server by name',
      inventory('global_defs: { notification_email: [ops@example.com], smtp_server: mail.example.com 25 }'),
      'global_defs.smtp_server: keepalived asks DNS for mail.example.com at every reload, and sends no adverts until it answers: a slow DNS moves the address',
    ],
    [
      'a frontend that leads nowhere',
      inventory('', '', 'frontends: [{ name: web, bind: [":80"] }]'),
      'haproxy.frontends[0]: leads to no backend',
    ],
    [
      'one address bound twice',
      inventory(
        '',
        '',
        'frontends: [{ name: a, bind: [":80"], lines: [http-request deny] }, { name: b, bind: ["*:80 ssl"], lines: [http-request deny] }]',
      ),
      'haproxy.frontends[1].bind[0]: *:80 is already bound by number 1: connections go to either',
    ],
  ])('tell of %s, and the inventory is taken', ([, text = '', warning]) => {
    expect(parse(text).issues).toEqual([])
    expect(warningsOf(text)).toEqual([warning])
  })

  test('say that keepalived cuts a long password', () => {
    const text = inventory('', ', authentication: { auth_type: PASS, auth_pass: 123456789x }')
    expect(warningsOf(text)).toContainEqual(
      'vrrp_instances[0].authentication.auth_pass: keepalived takes the first 8 characters of the password and ignores the rest',
    )
  })
})
