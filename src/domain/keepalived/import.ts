/** keepalived.conf files that run somewhere, as the inventory that would write them; and, in words, what no inventory can say. */
import type { GlobalDefs, InventoryInstance, VrrpScript } from '../../inventory/inventory.ts'
import { Secret } from '../../secret.ts'
import { parseVirtualAddress } from '../addresses.ts'
import { CHECK_SCRIPT } from '../paths.ts'
import { TRACKERS } from '../trackers.ts'
import { type ConfNode, child, type KeepalivedConf, listOf, parseKeepalivedConf, valueOf } from './parse.ts'

export interface ImportedConf {
  /** fast where hactl's own track files are in it. */
  readonly profile: 'classic' | 'fast'
  readonly globalDefs: GlobalDefs
  readonly vrrpScript: VrrpScript
  /** Without their passwords. */
  readonly instances: readonly InventoryInstance[]
  /** By name of the instance. */
  readonly authentication: ReadonlyMap<string, { readonly type: 'PASS' | 'AH'; readonly pass: Secret }>
  /** What differs from what runs, one sentence each. */
  readonly notes: readonly string[]
}

/** One thing as each server has it. */
interface Here {
  readonly server: string
  readonly conf: KeepalivedConf
  readonly node: ConfNode
}

const OWN_TRACKERS: ReadonlySet<string> = new Set(TRACKERS.map(t => t.name))

/** Carried, or the same in every file that hactl writes. */
const KNOWN_GLOBALS: ReadonlySet<string> = new Set([
  'notification_email',
  'notification_email_from',
  'smtp_server',
  'smtp_connect_timeout',
  'router_id',
  'enable_script_security',
  'vrrp_version',
])
/** hactl writes these in profile fast. */
const FAST_GLOBALS: ReadonlySet<string> = new Set(['vrrp_priority', 'vrrp_check_unicast_src', 'vrrp_higher_prio_send_advert'])

const GARP = [
  'garp_master_delay',
  'garp_master_repeat',
  'garp_master_refresh',
  'garp_master_refresh_repeat',
  'garp_lower_prio_delay',
  'garp_lower_prio_repeat',
] as const

const KNOWN_IN_INSTANCE: ReadonlySet<string> = new Set([
  ...GARP,
  'state',
  'interface',
  'virtual_router_id',
  'priority',
  'advert_int',
  'version',
  'nopreempt',
  'preempt_delay',
  'unicast_peer',
  'unicast_src_ip',
  'authentication',
  'virtual_ipaddress',
  'track_script',
  'track_file',
  'smtp_alert',
])

/** `confs`: keepalived.conf by server, the first in rank first. What the servers must share is taken from the first that has it. */
export function importKeepalivedConfs(confs: ReadonlyMap<string, string>): ImportedConf {
  const notes: string[] = []
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text)
  }
  const parsed = [...confs].map(([server, text]) => ({ server, conf: parseKeepalivedConf(text) }))
  for (const { server, conf } of parsed) {
    for (const { line, message } of conf.problems) note(`${server}: keepalived.conf line ${line}: ${message}`)
    for (const { line, path } of conf.includes) note(`${server}: keepalived.conf line ${line}: ${path} is included, and was not read`)
  }
  const all = (keyword: string): Here[] =>
    parsed.flatMap(({ server, conf }) => conf.nodes.filter(node => node.words[0] === keyword).map(node => ({ server, conf, node })))
  const isFast = [...all('track_file'), ...all('vrrp_track_file')].some(({ node }) => OWN_TRACKERS.has(node.words[1] ?? ''))
  const globals = all('global_defs')
  const instances = [...new Set(all('vrrp_instance').map(nameOf))].map(name => ({
    name,
    by: all('vrrp_instance').filter(here => nameOf(here) === name),
  }))
  noteUnknownBlocks(parsed, isFast, note)
  noteUnknown(globals, 'global_defs', word => KNOWN_GLOBALS.has(word) || (isFast && FAST_GLOBALS.has(word)) || word === 'script_user', note)
  for (const { node } of globals) {
    const user = valueOf(node, 'script_user')
    if (user !== undefined && user !== 'root') note(`global_defs: script_user ${user} is not carried over: hactl's check runs as root`)
  }
  const globalDefs = globalDefsOf(globals, note)
  const mailed = (globalDefs.notification_email ?? []).length > 0
  return {
    profile: isFast ? 'fast' : 'classic',
    globalDefs,
    vrrpScript: scriptOf(all('vrrp_script'), instances[0]?.by ?? [], note),
    instances: instances.map(({ name, by }) => instanceOf(name, by, parsed.length, mailed, note)),
    authentication: new Map(instances.flatMap(({ name, by }) => authenticationOf(name, by, note))),
    notes,
  }
}

const nameOf = ({ node }: Here) => node.words[1] ?? ''

type Note = (text: string) => void

/** What the servers should agree on: the first one's word, and a note where they do not. */
function shared(by: readonly Here[], what: string, read: (here: Here) => string | undefined, note: Note): string | undefined {
  const values = by.map(here => ({ server: here.server, value: read(here) }))
  const [first] = values
  const others = values.filter(({ value }) => value !== first?.value)
  if (first !== undefined && others.length > 0) {
    const list = others.map(({ server, value }) => `${value ?? 'nothing'} on ${server}`)
    note(`${what} is ${first.value ?? 'nothing'} on ${first.server}, ${list.join(', ')}: that of ${first.server} was taken`)
  }
  return first?.value
}

function numeric(text: string | undefined): number | undefined {
  return text === undefined || !/^-?\d+(\.\d+)?$/.test(text) ? undefined : Number(text)
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>)
}

function noteUnknown(by: readonly Here[], where: string, isKnown: (word: string) => boolean, note: Note): void {
  const unknown = by.flatMap(({ node }) => node.children ?? []).map(node => node.words[0] ?? '')
  for (const word of new Set(unknown.filter(word => !isKnown(word))))
    note(`${where}: ${word} is not carried over: hactl has no word for it`)
}

function noteUnknownBlocks(parsed: readonly { readonly conf: KeepalivedConf }[], isFast: boolean, note: Note): void {
  const known = new Set(['global_defs', 'vrrp_script', 'vrrp_instance', ...(isFast ? ['track_file', 'vrrp_track_file'] : [])])
  for (const { conf } of parsed) {
    for (const { words } of conf.nodes) {
      const [word = ''] = words
      if (!known.has(word) && !word.startsWith('include'))
        note(`${words.slice(0, 2).join(' ')} is not carried over: hactl has no word for it`)
    }
  }
}

function globalDefsOf(globals: readonly Here[], note: Note): GlobalDefs {
  const value = (keyword: string) => shared(globals, `global_defs.${keyword}`, ({ node }) => valueOf(node, keyword), note)
  const words = (keyword: string) =>
    shared(globals, `global_defs.${keyword}`, ({ node }) => child(node, keyword)?.words.slice(1).join(' '), note)
  const emails = shared(
    globals,
    'global_defs.notification_email',
    ({ node }) =>
      listOf(node, 'notification_email')
        .flatMap(line => line.words)
        .join(' '),
    note,
  )
  const names = new Set(globals.map(({ node }) => valueOf(node, 'router_id')))
  if (names.size > 1) note('global_defs.router_id is another on each server: it was left out, and keepalived takes the host name')
  return {
    ...(emails === undefined || emails === '' ? {} : { notification_email: emails.split(' ') }),
    ...given('notification_email_from', value('notification_email_from')),
    ...given('smtp_server', words('smtp_server')),
    ...given('smtp_connect_timeout', numeric(value('smtp_connect_timeout'))),
    ...given('router_id', names.size === 1 ? [...names][0] : undefined),
  }
}

/** keepalived's own defaults (keepalived.conf(5), vrrp_script): interval 1, fall 1, rise 1, weight 0; a run may take as long as the interval. */
function scriptOf(scripts: readonly Here[], by: readonly Here[], note: Note): VrrpScript {
  const tracked = listOf(by[0]?.node, 'track_script')
  const about = (name: string) => scripts.filter(here => nameOf(here) === name)
  const isOfHaproxy = (name: string) => about(name).some(({ node }) => /haproxy/.test(`${name} ${child(node, 'script')?.words.join(' ')}`))
  const names = tracked.map(line => line.words[0] ?? '').filter(name => about(name).length > 0)
  const name = names.find(isOfHaproxy) ?? names[0]
  if (name === undefined) {
    if (by.length > 0) note("no vrrp_script is tracked today: with hactl's check a server whose haproxy fails gives the address up")
    return {}
  }
  for (const other of names) if (other !== name) note(`vrrp_script ${other} is not carried over: hactl tracks one script, its own`)
  const mine = about(name)
  const command = child(mine[0]?.node, 'script')?.words.slice(1).join(' ') ?? ''
  if (command !== CHECK_SCRIPT) note(`vrrp_script ${name} runs "${command}"; hactl puts a check of its own in its place`)
  const value = (keyword: string) => numeric(shared(mine, `vrrp_script ${name}: ${keyword}`, ({ node }) => valueOf(node, keyword), note))
  const line = tracked.find(({ words }) => words[0] === name)?.words ?? []
  const ownWeight = numeric(line[line.indexOf('weight') + 1])
  const interval = value('interval') ?? 1
  return {
    interval,
    fall: value('fall') ?? 1,
    rise: value('rise') ?? 1,
    timeout: value('timeout') ?? interval,
    weight: (line.includes('weight') ? ownWeight : undefined) ?? value('weight') ?? 0,
  }
}

function instanceOf(name: string, by: readonly Here[], servers: number, mailed: boolean, note: Note): InventoryInstance {
  const where = `vrrp_instance ${name}`
  const value = (keyword: string) => shared(by, `${where}: ${keyword}`, ({ node }) => valueOf(node, keyword), note)
  const has = (keyword: string) =>
    shared(by, `${where}: ${keyword}`, ({ node }) => (child(node, keyword) === undefined ? undefined : 'set'), note) !== undefined
  const byServer = <T>(read: (here: Here) => T | undefined): Record<string, T> =>
    Object.fromEntries(
      by.flatMap(here => {
        const own = read(here)
        return own === undefined ? [] : [[here.server, own]]
      }),
    )
  if (by.length < servers)
    note(`${where} runs on ${by.map(here => here.server).join(', ')} only: hactl puts every instance on every server`)
  noteUnknown(by, where, word => KNOWN_IN_INSTANCE.has(word), note)
  const tracked = by.flatMap(({ node }) => listOf(node, 'track_file').map(line => line.words[0] ?? ''))
  for (const file of new Set(tracked))
    if (!OWN_TRACKERS.has(file)) note(`${where}: track_file ${file} is not carried over: hactl has no word for it`)

  const priority = byServer(({ node }) => numeric(valueOf(node, 'priority')) ?? 100)
  const highest = Math.max(...Object.values(priority))
  for (const { server, node } of by) {
    if (valueOf(node, 'state') === 'MASTER' && priority[server] !== highest)
      note(`${where}: ${server} has state MASTER, but not the highest priority: hactl goes by the priority`)
  }
  const interfaces = byServer(({ node }) => valueOf(node, 'interface'))
  const [card, ...otherCards] = new Set(Object.values(interfaces))
  const sources = byServer(({ node }) => valueOf(node, 'unicast_src_ip'))
  const garp = Object.assign({}, ...GARP.map(keyword => given(keyword, numeric(value(keyword))))) as Partial<InventoryInstance>
  const preemptDelay = numeric(value('preempt_delay'))
  const smtpAlert = by.some(({ node }) => {
    const line = child(node, 'smtp_alert')
    return line !== undefined && !/^(false|off|no)$/.test(line.words[1] ?? '')
  })
  if (mailed && !smtpAlert)
    note(`${where}: notification_email is set, but without smtp_alert keepalived sends no mail; smtp_alert: true would`)
  const addresses = addressesOf(by, where, note)
  return {
    name,
    ...(card === undefined ? {} : { interface: otherCards.length === 0 && Object.keys(interfaces).length === servers ? card : interfaces }),
    virtual_router_id: numeric(value('virtual_router_id')) ?? 0,
    priority,
    advert_int: numeric(value('advert_int')) ?? 1,
    version: versionOf(by, addresses, where, note),
    virtual_ipaddress: addresses,
    ...(has('nopreempt') ? { nopreempt: true } : {}),
    ...(preemptDelay === undefined || preemptDelay === 0 ? {} : { preempt_delay: preemptDelay }),
    unicast_peer: peersOf(by, sources, where, note),
    ...(Object.keys(sources).length === 0 ? {} : { unicast_src_ip: sources }),
    ...garp,
    // Where mail addresses are set hactl would send mail at every change; what runs does not.
    ...(smtpAlert === mailed ? {} : { smtp_alert: smtpAlert }),
  }
}

function versionOf(by: readonly Here[], addresses: readonly string[], where: string, note: Note): 2 | 3 {
  // An IPv6 instance speaks version 3 whatever the file says (RFC 5798, 1).
  if (addresses.some(text => parseVirtualAddress(text)?.family === 6)) return 3
  const version = shared(
    by,
    `${where}: version`,
    ({ node, conf }) =>
      valueOf(node, 'version') ??
      valueOf(
        conf.nodes.find(n => n.words[0] === 'global_defs'),
        'vrrp_version',
      ) ??
      '2',
    note,
  )
  return version === '3' ? 3 : 2
}

function addressesOf(by: readonly Here[], where: string, note: Note): readonly string[] {
  const list = shared(
    by,
    `${where}: virtual_ipaddress`,
    ({ node }) =>
      listOf(node, 'virtual_ipaddress')
        .map(({ words }) => words[0])
        .join(' '),
    note,
  )
  for (const { node } of by) {
    const card = valueOf(node, 'interface')
    for (const { words } of listOf(node, 'virtual_ipaddress')) {
      const rest = words.slice(1).join(' ')
      if (rest !== '' && rest !== `dev ${card}`) note(`${where}: "${rest}" behind ${words[0]} is not carried over`)
    }
  }
  return (list ?? '').split(' ').filter(address => address !== '')
}

/** true: each server tells all others. */
function peersOf(
  by: readonly Here[],
  sources: Readonly<Record<string, string>>,
  where: string,
  note: Note,
): NonNullable<InventoryInstance['unicast_peer']> {
  const peers = by.map(({ server, node }) => ({
    server,
    own: listOf(node, 'unicast_peer').map(({ words }) => words[0] ?? ''),
    isUnicast: child(node, 'unicast_peer') !== undefined,
  }))
  if (peers.every(({ isUnicast }) => !isUnicast)) return false
  const known = [...new Set([...Object.values(sources), ...peers.flatMap(({ own }) => own)])]
  for (const { server, own } of peers) {
    const missing = known.filter(address => address !== sources[server] && !own.includes(address))
    // Without unicast_src_ip a server's own address is the one that it does not name.
    if (missing.length > (sources[server] === undefined ? 1 : 0))
      note(`${where}: ${server} does not send adverts to ${missing.join(', ')}: with hactl each server sends to all others`)
  }
  const isComplete = peers.every(({ server }) => sources[server] !== undefined) && known.length === by.length
  return isComplete ? true : known
}

function authenticationOf(
  name: string,
  by: readonly Here[],
  note: Note,
): readonly (readonly [string, { readonly type: 'PASS' | 'AH'; readonly pass: Secret }])[] {
  const own = by.map(({ node }) => child(node, 'authentication'))
  const passes = own.map(node => valueOf(node, 'auth_pass'))
  const [pass] = passes
  const type = valueOf(own[0], 'auth_type')
  if (passes.some(other => other !== pass))
    note(`vrrp_instance ${name}: the servers have different passwords and refuse each other's adverts: that of ${by[0]?.server} was taken`)
  if (pass === undefined) return []
  return [[name, { type: type === 'AH' ? 'AH' : 'PASS', pass: new Secret(pass) }]]
}
