/** Inventory -> inventory.yml as an operator would like to find it: in the order of the manual, with a word on every section. */
import type { Inventory, InventoryInstance } from './inventory.ts'
import { renderYamlInline } from '../yaml.ts'

/** What the file says of each section, above it. */
const COMMENTS: Readonly<Record<keyof Inventory, string>> = {
  cluster: 'Name of the cluster in locks, reports and history.',
  profile: 'classic: the timings of the article; fast: failover that users do not notice.',
  ssh: 'How to reach all servers. What is absent is taken from ssh_config, as ssh itself would.',
  become: 'Root by sudo, where the login user is not root.',
  become_password: 'Where the password for sudo comes from; without this key, -K asks for it.',
  servers: 'The load balancers. Their order is their rank: the first is master unless priorities say otherwise.',
  global_defs: 'Mail when a server becomes master or stops being it.',
  vrrp_script: 'How keepalived judges HAProxy on its own server. Times are seconds.',
  vrrp_instances: 'Addresses that move between the servers. virtual_router_id must be unique on their network.',
  haproxy: 'What HAProxy does: `config: FILE` is your own haproxy.cfg, shipped as it is; else frontends and backends.',
  certificates: 'Certificates with their private keys, from this machine to where a bind names them.',
  firewall: "check: tell where a server's packet filter is in the way; open: let through exactly what is needed.",
  packages: 'Versions of the two packages, as apt-get takes them.',
  probe: 'What drills and gates ask through the virtual address.',
}

const ORDER = Object.keys(COMMENTS) as readonly (keyof Inventory)[]

const INSTANCE_ORDER: readonly (keyof InventoryInstance)[] = [
  'name',
  'interface',
  'virtual_router_id',
  'priority',
  'advert_int',
  'version',
  'authentication',
  'virtual_ipaddress',
]

/** Longest line that still reads as one. */
const LINE_WIDTH = 100

/**
 * inventory.yml whose parse gives `inventory` again. `notes` become comments at its head, one line each.
 */
export function renderInventory(inventory: Inventory, notes: readonly string[] = []): string {
  const head = ['Inventory for hactl. Check it with: hactl check', ...notes].flatMap(note => note.split(/\r\n|\r|\n/))
  const sections = ORDER.filter(key => inventory[key] !== undefined).map(key => {
    const value = key === 'vrrp_instances' ? inventory.vrrp_instances.map(inOrder) : inventory[key]
    return `# ${COMMENTS[key]}\n${renderEntry(key, value, '')}`
  })
  return `${head.map(line => `# ${printable(line)}`.trimEnd()).join('\n')}\n\n${sections.join('\n\n')}\n`
}

function printable(line: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return line.replaceAll(/[\u0000-\u001F\u007F-\u009F\u2028\u2029\uFFFD\uFFFE\uFFFF]|\p{Surrogate}/gu, '?')
}

function inOrder(instance: InventoryInstance): Partial<InventoryInstance> {
  const rest = (Object.keys(instance) as (keyof InventoryInstance)[]).filter(key => !INSTANCE_ORDER.includes(key))
  return Object.fromEntries([...INSTANCE_ORDER, ...rest].flatMap(key => (instance[key] === undefined ? [] : [[key, instance[key]]])))
}

/** `key: value` in one line where it fits and reads well; else a block with the same rule for what is in it. */
function renderEntry(key: string, value: unknown, indent: string): string {
  const inline = `${indent}${renderYamlInline(key)}: ${inlineValue(value)}`
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) return inline
  if (isSimple(value) && inline.length <= LINE_WIDTH && (indent !== '' || isSource(value))) return inline
  return `${indent}${renderYamlInline(key)}:\n${renderBlock(value, `${indent}  `)}`
}

function renderBlock(value: object, indent: string): string {
  if (!Array.isArray(value)) {
    return Object.entries(value)
      .filter(([, below]) => below !== undefined)
      .map(([key, below]) => renderEntry(key, below, indent))
      .join('\n')
  }
  return value
    .map((item: unknown) => {
      const inline = `${indent}- ${inlineValue(item)}`
      if (typeof item !== 'object' || item === null || Object.keys(item).length === 0) return inline
      if (isSimple(item) && inline.length <= LINE_WIDTH) return inline
      return `${indent}- ${renderBlock(item, `${indent}  `).trimStart()}`
    })
    .join('\n')
}

/** A secret's source and the like: `{ env: NAME }` is one thing and stays in one line. */
function isSource(value: object): boolean {
  return ['env', 'file', 'command', 'literal'].some(key => Object.hasOwn(value, key))
}

/** Nothing deeper in it than a small mapping or list of plain values. */
function isSimple(value: object): boolean {
  const depth = (below: unknown): number =>
    typeof below !== 'object' || below === null ? 0 : 1 + Math.max(0, ...Object.values(below).map(depth))
  return depth(value) <= 2
}

function inlineValue(value: unknown): string {
  return renderYamlInline(JSON.parse(JSON.stringify(value)))
}
