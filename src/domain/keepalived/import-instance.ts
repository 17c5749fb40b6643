/** One vrrp_instance as the servers have it -> the instance of an inventory. */
import type { InventoryInstance } from '../../inventory/inventory.ts'
import { Secret } from '../../secret.ts'
import { parseVirtualAddress } from '../addresses.ts'
import { given, type Here, type Note, noteUnknown, numeric, OWN_TRACKERS, shared } from './import-shared.ts'
import { child, listOf, valueOf } from './parse.ts'

/** Keywords of a vrrp_instance that are read one by one, or that are the same in every file that hactl writes. */
const READ_HERE: ReadonlySet<string> = new Set([
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

/** Other keys that an instance of an inventory may have: numbers that are carried over under their own names. `keys`: all keys that it may have. */
export function settingsAmong(keys: readonly string[]): readonly string[] {
  return keys.filter(key => key !== 'name' && !READ_HERE.has(key))
}

export interface Surroundings {
  /** How many servers there are. */
  readonly servers: number
  /** The file has mail addresses. */
  readonly mailed: boolean
  /** As settingsAmong gives them. */
  readonly settings: readonly string[]
}

/** Without its password. */
export function instanceOf(name: string, by: readonly Here[], { servers, mailed, settings }: Surroundings, note: Note): InventoryInstance {
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
  noteUnknown(by, where, word => READ_HERE.has(word) || settings.includes(word), note)
  const tracked = by.flatMap(({ node }) => listOf(node, 'track_file').map(line => line.words[0] ?? ''))
  for (const file of new Set(tracked))
    if (!OWN_TRACKERS.has(file)) note(`${where}: track_file ${file} is not carried over: hactl has no setting for it`)

  const priority = byServer(({ node }) => numeric(valueOf(node, 'priority')) ?? 100)
  const highest = Math.max(...Object.values(priority))
  for (const { server, node } of by) {
    if (valueOf(node, 'state') === 'MASTER' && priority[server] !== highest)
      note(`${where}: ${server} has state MASTER, but not the highest priority: hactl uses the priority`)
  }
  const interfaces = byServer(({ node }) => valueOf(node, 'interface'))
  const [card, ...otherCards] = new Set(Object.values(interfaces))
  const sources = byServer(({ node }) => valueOf(node, 'unicast_src_ip'))
  const numbers = Object.assign({}, ...settings.map(keyword => given(keyword, numeric(value(keyword))))) as Partial<InventoryInstance>
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
    ...numbers,
    // Where mail addresses are set, hactl would send mail at every change. The present configuration does not.
    ...(smtpAlert === mailed ? {} : { smtp_alert: smtpAlert }),
  }
}

function versionOf(by: readonly Here[], addresses: readonly string[], where: string, note: Note): 2 | 3 {
  // An IPv6 instance uses version 3 whatever the file says (RFC 5798, 1).
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

/** The value of unicast_peer. true: each server sends to all others. */
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
    // Without unicast_src_ip, a server's own address is the one that is missing from its peers.
    if (missing.length > (sources[server] === undefined ? 1 : 0))
      note(`${where}: ${server} does not send adverts to ${missing.join(', ')}: with hactl each server sends to all others`)
  }
  const isComplete = peers.every(({ server }) => sources[server] !== undefined) && known.length === by.length
  return isComplete ? true : known
}

/** Type and password by the instance's name; empty where it has none. */
export function authenticationOf(
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
