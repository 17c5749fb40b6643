/**
 * Inventories in which one value is hostile: a shell, haproxy.cfg, keepalived.conf, YAML or a terminal would interpret it. They are the
 * same in every run: a number always gives the same inventory.
 */
import { seededRandom, type Random } from '../inventory/random.ts'

/** Where a hostile value puts a file if anything executes it: a folder that every Linux has, for whoever it runs as. */
export const CANARY = '/dev/shm/hactl-canary'

export interface HostileInventory {
  readonly number: number
  /** The place of the hostile text: "servers[0].ssh.user", or "env VRRP_AUTH_PASS" for a secret that the inventory only names. */
  readonly place: string
  /** The usual value at that place. */
  readonly usual: string
  readonly hostile: string
  /** JSON, which is YAML, and can express every character. */
  readonly text: string
  /** The same inventory with the usual value. */
  readonly usualText: string
  /** Environment that its secrets come from. */
  readonly env: Readonly<Record<string, string>>
}

type Path = readonly (string | number)[]

/** Begin with a usual value, so that those with a grammar are not refused for their beginning alone. */
const PAYLOADS: readonly ((usual: string, random: Random) => string)[] = [
  usual => `${usual}$(touch ${CANARY})`,
  usual => `${usual}\`touch ${CANARY}\``,
  usual => `${usual}'; touch ${CANARY}; '`,
  usual => `${usual}"; touch ${CANARY}; "`,
  usual => `${usual}"$(touch ${CANARY})"`,
  usual => `${usual}; touch ${CANARY}`,
  usual => `${usual} && touch ${CANARY} #`,
  usual => `${usual} | touch ${CANARY}`,
  usual => `${usual} > ${CANARY}`,
  usual => `${usual}\ntouch ${CANARY}\n`,
  usual => `${usual}\r\ntouch ${CANARY}`,
  usual => `${usual}\0touch ${CANARY}`,
  usual => `${usual}\n}\nvrrp_script x {\n    script "/bin/touch ${CANARY}"\n}`,
  usual => `${usual}\n    notify_master "/bin/touch ${CANARY}"`,
  usual => `${usual}\nglobal\n    external-check\n`,
  usual => `${usual} }`,
  usual => `${usual} { }`,
  usual => `${usual} # rest`,
  usual => `${usual} ! rest`,
  usual => `${usual}\\`,
  usual => `${usual}\${HOME}`,
  usual => `${usual}$HOME`,
  usual => `${usual}"`,
  usual => `${usual}'`,
  usual => `${usual} "a b" 'c d' \\ e`,
  usual => `${usual}\t${usual}`,
  usual => ` ${usual} `,
  usual => `-${usual}`,
  usual => `--${usual}`,
  usual => `@${usual}`,
  usual => `~${usual}`,
  usual => `../../../../..${usual}`,
  usual => `${usual}*?[a-z]`,
  usual => `${usual}%s%n%%`,
  usual => `${usual}%0atouch`,
  usual => `${usual}<<EOF`,
  usual => `${usual}\u001b[2J\u001b]0;x\u0007`,
  usual => `${usual}\u202e\u2066`,
  usual => `${usual}\u2028\u2029\u0085`,
  usual => `${usual}\u00e9\u4e16\u{1f600}`,
  usual => `${usual}\ud800`,
  usual => `${usual}\uff07\uff02\uff04`,
  usual => usual.normalize('NFD') + '\u0301'.repeat(40),
  usual => usual + 'x'.repeat(10_240),
  usual => `${usual}'`.repeat(2000),
  usual => `${usual}.`.repeat(2000),
  usual => `${usual} ${'a'.repeat(3000)}`,
  usual => `!!js/function ${usual}`,
  usual => `&a *a ${usual}`,
  usual => `{{ ${usual} }}`,
  () => '',
  () => '\0',
  () => '__proto__',
  () => 'constructor',
  (usual, random) => Array.from({ length: 30 }, () => String.fromCharCode(random.int(0x100))).join('') + usual,
  (usual, random) => usual + Array.from({ length: 20 }, () => String.fromCharCode(33 + random.int(94))).join(''),
  (usual, random) => usual + Array.from({ length: 3 }, () => random.pick(['.', '-', '_', ':', '/', ',', '+', '=', '%', '@'])).join(''),
]

const ADDRESS = (last: number) => `192.0.2.${last}`

/** Every kind of text that an inventory may hold, each value found nowhere else in what is rendered from it. */
function usualInventory(profile: 'classic' | 'fast'): unknown {
  const classic = profile === 'classic'
  const authentication = { auth_type: 'PASS', auth_pass: { env: 'VRRP_AUTH_PASS' } }
  return {
    cluster: 'edgecluster',
    profile,
    ssh: { user: 'opsuser', identity_file: '~/.ssh/id_usual', proxy_jump: 'jumper@bastion.example.com:2222', known_hosts: 'known_usual' },
    become_password: { literal: 'sudo-usual' },
    servers: ['one', 'two', 'three'].map((name, at) => ({
      name: `srv-${name}`,
      host: ADDRESS(11 + at),
      ssh: { user: `user-${name}`, identity_file: `keys/${name}` },
      become_password: { env: 'SUDO_PASSWORD' },
    })),
    global_defs: {
      notification_email: ['first@example.com', 'second@example.com'],
      notification_email_from: 'sender@example.com',
      smtp_server: '192.0.2.25 2525',
      router_id: 'routerid',
    },
    vrrp_instances: [
      {
        name: 'VRRPUSUAL',
        interface: { 'srv-one': 'eth7', 'srv-two': 'eth8', 'srv-three': 'eth9' },
        priority: { 'srv-one': 200, 'srv-two': 150, 'srv-three': 100 },
        virtual_router_id: 66,
        virtual_ipaddress: ['192.0.2.200/24', '192.0.2.201/24'],
        unicast_peer: [11, 12, 13].map(ADDRESS),
        unicast_src_ip: { 'srv-one': ADDRESS(11), 'srv-two': ADDRESS(12), 'srv-three': ADDRESS(13) },
        ...(classic ? { authentication } : {}),
      },
    ],
    haproxy: {
      global: ['maxconn 4321'],
      defaults: ['timeout server 31s'],
      frontends: [
        {
          name: 'webfrontend',
          bind: ['192.0.2.200:8081 name usualbind', ':8082'],
          mode: 'http',
          default_backend: 'appbackend',
          option: ['forwardfor header X-Usual'],
          lines: ['http-request set-header X-Line usual-value'],
        },
      ],
      backends: [
        {
          name: 'appbackend',
          mode: 'http',
          balance: 'url_param usualparam',
          option: ['httpchk GET /usualhealth'],
          servers: [
            { name: 'app-usual', address: '192.0.2.111:8083', check: true, options: ['inter 2345ms'] },
            { name: 'app-other', address: '192.0.2.112:8084' },
          ],
          lines: ['timeout queue 32s'],
        },
      ],
    },
    probe: { port: 8081, path: '/usualprobe', host: 'probe.example.com' },
  }
}

const SHIPPED = { config: 'haproxy-usual.cfg' }
const ENV = { VRRP_AUTH_PASS: 'pass1234', SUDO_PASSWORD: 'sudo-usual' }

/** Number 0, 1, 2, ...: every place meets every kind of hostile text in time. */
export function hostileInventory(number: number): HostileInventory {
  const random = seededRandom(number)
  const usual = usualInventory(random.pick(['classic', 'fast']))
  if (random.chance(15)) Object.assign(usual as object, { haproxy: SHIPPED })
  const env: Record<string, string> = { ...ENV }
  const places = [...textsOf(usual), ...keysOf(usual), ...Object.keys(ENV).map(name => ({ kind: 'env', name }) as const)]
  const place = places[random.int(places.length)] ?? { kind: 'env', name: 'VRRP_AUTH_PASS' }
  // The payloads in turn and the places at random: none is forgotten.
  const payload = PAYLOADS[number % PAYLOADS.length] ?? (text => text)
  const usualText = JSON.stringify(usual)
  switch (place.kind) {
    case 'env': {
      const value = ENV[place.name as keyof typeof ENV]
      const hostile = payload(value, random)
      env[place.name] = hostile
      return { number, place: `env ${place.name}`, usual: value, hostile, text: usualText, usualText, env }
    }
    case 'key': {
      const hostile = payload(place.key, random)
      const changed = changedAt(usual, place.path, map => renamed(map as Record<string, unknown>, place.key, hostile))
      return { number, place: `${nameOf(place.path)} (key)`, usual: place.key, hostile, text: JSON.stringify(changed), usualText, env }
    }
    case 'text': {
      const hostile = payload(place.value, random)
      const changed = changedAt(usual, place.path, () => hostile)
      return { number, place: nameOf(place.path), usual: place.value, hostile, text: JSON.stringify(changed), usualText, env }
    }
  }
}

type Place =
  | { readonly kind: 'text'; readonly path: Path; readonly value: string }
  /** A key that the operator chose: a server's name in a map by server. */
  | { readonly kind: 'key'; readonly path: Path; readonly key: string }
  | { readonly kind: 'env'; readonly name: string }

function textsOf(value: unknown, path: Path = []): Place[] {
  if (typeof value === 'string') return [{ kind: 'text', path, value }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, below]) => textsOf(below, [...path, Array.isArray(value) ? Number(key) : key]))
}

function keysOf(usual: unknown): Place[] {
  const path = ['vrrp_instances', 0]
  const instance = path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], usual)
  return ['interface', 'priority', 'unicast_src_ip'].flatMap(map =>
    Object.keys((instance as Record<string, object>)[map] ?? {}).map(key => ({ kind: 'key', path: [...path, map], key }) as const),
  )
}

function changedAt(root: unknown, path: Path, change: (value: unknown) => unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined) return change(root)
  if (Array.isArray(root)) return root.map((item: unknown, at) => (at === step ? changedAt(item, rest, change) : item))
  return { ...(root as object), [step]: changedAt((root as Record<string, unknown>)[step], rest, change) }
}

/** With a new name in the old one's place; as JSON, so that __proto__ is a key like any other. */
function renamed(map: Record<string, unknown>, from: string, to: string): unknown {
  const entries = Object.entries(map).map(([key, value]) => [key === from ? to : key, value] as const)
  return JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`)
}

function nameOf(path: Path): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('')
}
