/** keepalived.conf files in use -> the inventory that would write them, and notes about what no inventory can express. */
import type { GlobalDefs, InventoryInstance, VrrpScript } from '../../inventory/inventory.ts'
import type { Secret } from '../../secret.ts'
import { CHECK_SCRIPT } from '../paths.ts'
import { authenticationOf, instanceOf, settingsAmong } from './import-instance.ts'
import { given, type Here, type Note, noteUnknown, numeric, OWN_TRACKERS, shared } from './import-shared.ts'
import { child, type KeepalivedConf, listOf, parseKeepalivedConf, valueOf } from './parse.ts'

export interface ImportedConf {
  /** fast where a file has hactl's own track files. */
  readonly profile: 'classic' | 'fast'
  readonly globalDefs: GlobalDefs
  readonly vrrpScript: VrrpScript
  /** Without their passwords. */
  readonly instances: readonly InventoryInstance[]
  /** By name of the instance. */
  readonly authentication: ReadonlyMap<string, { readonly type: 'PASS' | 'AH'; readonly pass: Secret }>
  /** Where the inventory differs from what runs, one sentence each. */
  readonly notes: readonly string[]
}

/** Keywords that are the same in every file that hactl writes. */
const ALIKE_GLOBALS: ReadonlySet<string> = new Set(['enable_script_security', 'script_user', 'vrrp_version'])
/** hactl writes these in profile fast. */
const FAST_GLOBALS: ReadonlySet<string> = new Set(['vrrp_priority', 'vrrp_check_unicast_src', 'vrrp_higher_prio_send_advert'])

/** What an inventory may say. */
interface InventoryKeys {
  /** Of global_defs. */
  readonly globals: readonly string[]
  /** Of one vrrp_instance. */
  readonly instance: readonly string[]
}

/**
 * `confs`: keepalived.conf by server, the first in rank first. What the servers must share is taken from the first that has it.
 */
export function importKeepalivedConfs(confs: ReadonlyMap<string, string>, keys: InventoryKeys): ImportedConf {
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
  const isKnown = (word: string) => keys.globals.includes(word) || ALIKE_GLOBALS.has(word) || (isFast && FAST_GLOBALS.has(word))
  noteUnknown(globals, 'global_defs', isKnown, note)
  for (const { node } of globals) {
    const user = valueOf(node, 'script_user')
    if (user !== undefined && user !== 'root') note(`global_defs: script_user ${user} is not carried over: hactl's check runs as root`)
  }
  const globalDefs = globalDefsOf(globals, keys.globals, note)
  const around = {
    servers: parsed.length,
    mailed: (globalDefs.notification_email ?? []).length > 0,
    settings: settingsAmong(keys.instance),
  }
  return {
    profile: isFast ? 'fast' : 'classic',
    globalDefs,
    vrrpScript: scriptOf(all('vrrp_script'), instances[0]?.by ?? [], note),
    instances: instances.map(({ name, by }) => instanceOf(name, by, around, note)),
    authentication: new Map(instances.flatMap(({ name, by }) => authenticationOf(name, by, note))),
    notes,
  }
}

function noteUnknownBlocks(parsed: readonly { readonly conf: KeepalivedConf }[], isFast: boolean, note: Note): void {
  const known = new Set(['global_defs', 'vrrp_script', 'vrrp_instance', ...(isFast ? ['track_file', 'vrrp_track_file'] : [])])
  for (const { conf } of parsed) {
    for (const { words } of conf.nodes) {
      const [word = ''] = words
      if (!known.has(word) && !word.startsWith('include'))
        note(`${words.slice(0, 2).join(' ')} is not carried over: hactl has no setting for it`)
    }
  }
}

/** In the order of `keys`. A key that is not read in a way of its own is carried over under its own name. */
function globalDefsOf(globals: readonly Here[], keys: readonly string[], note: Note): GlobalDefs {
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
  if (names.size > 1) note('global_defs.router_id differs from server to server: it was left out, and keepalived uses the host name')
  const interval = value('vrrp_garp_interval')
  const readHere = new Map<string, unknown>([
    ['notification_email', emails === undefined || emails === '' ? undefined : emails.split(' ')],
    ['smtp_server', words('smtp_server')],
    ['router_id', names.size === 1 ? [...names][0] : undefined],
    // keepalived refuses a 0 and goes on without an interval: the 0 stands in its sample files.
    ['vrrp_garp_interval', numeric(interval) === 0 ? undefined : numberOrText(interval)],
  ])
  const each = keys.map(key => given(key, readHere.has(key) ? readHere.get(key) : numberOrText(value(key))))
  return Object.assign({}, ...each) as GlobalDefs
}

function numberOrText(value: string | undefined): number | string | undefined {
  return numeric(value) ?? value
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
  if (command !== CHECK_SCRIPT) note(`vrrp_script ${name} runs "${command}"; hactl replaces it with a check of its own`)
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

const nameOf = ({ node }: Here) => node.words[1] ?? ''
