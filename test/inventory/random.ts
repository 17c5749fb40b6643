/** Random numbers that are the same in every run (mulberry32), and inventories made with them. */
import type { Inventory, SecretSource } from '../../src/inventory/inventory.ts'

export interface Random {
  /** 0 up to, not including, `below`. */
  int(below: number): number
  pick<T>(choices: readonly [T, ...T[]]): T
  chance(percent: number): boolean
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1)
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61)
    return ((bits ^ (bits >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    int,
    pick: choices => choices[int(choices.length)] ?? choices[0],
    chance: percent => int(100) < percent,
  }
}

/** A valid inventory: each optional key is there or not, values are from all over their ranges. */
export function randomInventory(random: Random): Inventory {
  const maybe = <Key extends string, Value>(key: Key, value: () => Value) =>
    random.chance(50) ? ({ [key]: value() } as Record<Key, Value>) : {}
  const secret = () =>
    random.pick<SecretSource>([
      { env: `VAR_${random.int(9)}` },
      { file: random.pick(['~/.config/x', 'secrets/a.txt', '/etc/x']) },
      { command: random.pick(['pass show x', `printf '%s' "a # b: c"`, 'x | y && z > {q}', '*a &b !c', '- [']) },
      { literal: random.pick(['pass1234', '0644', 'yes', '~', '1e3', 'null', '-', '=:,', '%x', '[a]', '>']) },
    ])
  const ssh = () => ({
    ...maybe('user', () => random.pick(['ops', 'root', 'ops@corp.example.com', 'on', 'no', '007'])),
    ...maybe('port', () => 1 + random.int(65_535)),
    ...maybe('identity_file', () => random.pick(['~/.ssh/id_ed25519', 'keys/a', '/k'])),
    ...maybe('proxy_jump', () => random.pick(['none', 'ops@bastion.example.com:2222', 'a,b@c', '[2001:db8::1]:22'])),
    ...maybe('known_hosts', () => '~/.ssh/known_hosts'),
    ...maybe('host_key_checking', () => random.pick(['strict', 'accept-new'] as const)),
  })
  const names = Array.from({ length: 2 + random.int(4) }, (_, i) => `${random.pick(['srv', 'lb', 'y', '0x1', 'no', '1.5'])}-${i}`)
  const byServer = <Value>(value: (i: number) => Value) =>
    Object.fromEntries(names.filter(() => random.chance(70)).map((name, i) => [name, value(i)]))
  const instances = Array.from({ length: 1 + random.int(3) }, (_, i) => {
    const ipv6 = random.chance(30)
    return {
      name: `V${i}`,
      ...maybe('interface', () => random.pick<string | Record<string, string>>([`eth${i}`, byServer(() => 'ens160')])),
      virtual_router_id: 1 + i * 80 + random.int(80),
      ...maybe('priority', () => byServer(at => 254 - at * (1 + random.int(10)))),
      ...maybe('advert_int', () => 1 + random.int(40)),
      ...maybe('version', () => 3 as const),
      ...maybe('authentication', () => ({ auth_type: random.pick(['PASS', 'AH'] as const), auth_pass: secret() })),
      virtual_ipaddress: Array.from({ length: 1 + random.int(2) }, (_, j) =>
        ipv6 ? `2001:db8:${i}::${200 + j}/64` : `198.51.100.${100 + i * 10 + j}${random.pick(['', '/24', '/32'])}`,
      ),
      ...maybe('nopreempt', () => random.chance(50)),
      ...maybe('preempt_delay', () => random.pick([0, 1, 2.5, 1000])),
      ...maybe('unicast_peer', () => random.pick([true, false, ipv6 ? ['2001:db8::11', '2001:db8::12'] : ['192.0.2.11', '192.0.2.12']])),
      ...maybe('unicast_src_ip', () => byServer(at => (ipv6 ? `2001:db8::${at + 11}` : `192.0.2.${at + 11}`))),
      ...maybe('garp_master_delay', () => random.int(100)),
      ...maybe('garp_master_repeat', () => 1 + random.int(100)),
      ...maybe('garp_master_refresh', () => random.int(100)),
      ...maybe('garp_master_refresh_repeat', () => 1 + random.int(100)),
      ...maybe('garp_lower_prio_delay', () => random.int(100)),
      ...maybe('garp_lower_prio_repeat', () => 1 + random.int(100)),
      ...maybe('smtp_alert', () => random.chance(50)),
    }
  })
  const line = () =>
    random.pick([
      'timeout server 30s',
      `http-request set-header X "a b: {c}"`,
      'maxconn 10',
      "acl x path_reg '^/#'",
      'log-format %[src]\\ %ci',
    ])
  const lines = () => Array.from({ length: 1 + random.int(3) }, line)
  const haproxy = random.chance(30)
    ? { config: random.pick(['haproxy.cfg', '~/lb/haproxy.cfg', '/x/y-z.cfg']) }
    : {
        ...maybe('global', lines),
        ...maybe('defaults', lines),
        frontends: Array.from({ length: 1 + random.int(2) }, (_, i) => ({
          name: `web:${i}`,
          bind: random.pick([
            [':80'],
            ['*:443 ssl crt /etc/ssl/x.pem'],
            ['[2001:db8::1]:80', '192.0.2.1:8000-8010'],
            ['/run/x.sock', ':::81'],
          ]),
          ...maybe('mode', () => random.pick(['http', 'tcp'] as const)),
          ...maybe('default_backend', () => 'app.0'),
          ...maybe('option', lines),
          ...maybe('lines', lines),
        })),
        backends: Array.from({ length: 1 + random.int(2) }, (_, i) => ({
          name: `app.${i}`,
          ...maybe('mode', () => random.pick(['http', 'tcp'] as const)),
          ...maybe('balance', () => random.pick(['roundrobin', 'hdr(Host)', 'url_param id', 'uri depth 2'])),
          ...maybe('option', lines),
          servers: Array.from({ length: 1 + random.int(4) }, (_, j) => ({
            name: `s${j}`,
            address: random.pick(['192.0.2.111:8080', 'app.example.com:80', '[2001:db8::1]:443', '/run/app.sock']),
            ...maybe('check', () => random.chance(50)),
            ...maybe('weight', () => random.int(257)),
            ...maybe('backup', () => random.chance(50)),
            ...maybe('options', () => ['inter 2s', 'ssl verify none', 'sni str(a.example.com)']),
          })),
          ...maybe('lines', lines),
        })),
      }
  return {
    ...maybe('cluster', () => random.pick(['edge', 'null', 'true', '1e3', '0.5', 'a.b_c-d'])),
    ...maybe('profile', () => random.pick(['classic', 'fast'] as const)),
    ...maybe('ssh', ssh),
    ...maybe('become', () => random.chance(50)),
    ...maybe('become_password', secret),
    servers: names.map((name, i) => ({
      name,
      host: random.pick([`192.0.2.${50 + i}`, `lb${i}.example.com`, `2001:db8::5${i}`]),
      ...maybe('ssh', ssh),
      ...maybe('become', () => random.chance(50)),
      ...maybe('become_password', secret),
    })),
    ...maybe('global_defs', () => ({
      ...maybe('notification_email', () => ['ops@example.com', 'a.b+c@example.com']),
      ...maybe('notification_email_from', () => 'root@localhost'),
      ...maybe('smtp_server', () => random.pick(['localhost', '192.0.2.25 2525', '2001:db8::25'])),
      ...maybe('smtp_connect_timeout', () => 1 + random.int(3600)),
      ...maybe('router_id', () => 'edge'),
    })),
    ...maybe('vrrp_script', () => ({
      ...maybe('interval', () => random.pick([0.1, 1, 2.5, 3600])),
      ...maybe('fall', () => 1 + random.int(1000)),
      ...maybe('rise', () => 1 + random.int(1000)),
      ...maybe('timeout', () => random.pick([0.5, 60])),
      ...maybe('weight', () => random.int(507) - 253),
    })),
    vrrp_instances: instances,
    haproxy,
    ...maybe('probe', () => ({
      ...maybe('port', () => 1 + random.int(65_535)),
      ...maybe('path', () => random.pick(['/', '/health?x=1', '/a%20b'])),
      ...maybe('status', () => 100 + random.int(500)),
      ...maybe('tls', () => random.chance(50)),
      ...maybe('host', () => random.pick(['www.example.com', 'www.example.com:8443', '192.0.2.200'])),
    })),
  }
}
