/** The effect of a new keepalived.conf on peers that still run the old one (evidence V12). */
import type { ChangeClass } from '../../state/plan.ts'
import { canonicalAddress } from '../addresses.ts'
import { masterDownMs } from '../vrrp/timing.ts'
import type { ConfNode } from './parse.ts'
import { child, listOf, parseKeepalivedConf, valueOf } from './parse.ts'

export interface KeepalivedChange {
  readonly class: ChangeClass
  /** Why, in the operator's words; empty for 'none'. */
  readonly reasons: readonly string[]
}

/** What identifies an instance to keepalived and its peers. */
export interface InstanceView {
  readonly name: string
  readonly virtualRouterId: string
  readonly family: string
  readonly interface: string
  readonly mode: string
  readonly sourceAddress: string
  readonly peers: string
  readonly vmac: string
  readonly version: 2 | 3
  readonly advertMs: number
  readonly authentication: string
  readonly addresses: string
  readonly priority: number
}

/** keepalived.conf(5): the defaults where a keyword is missing. */
const DEFAULTS = { priority: 100, advertSeconds: 1 } as const

function addressOf(line: ConfNode): string {
  const bare = (line.words[0] ?? '').split('/')[0] ?? ''
  return canonicalAddress(bare)?.address ?? bare
}

function viewOf(instance: ConfNode, globalVersion: string | undefined, multicastGroup: string): InstanceView {
  const addresses = listOf(instance, 'virtual_ipaddress').map(addressOf)
  const unicast = child(instance, 'unicast_peer') !== undefined
  const auth = child(instance, 'authentication')
  const version = (valueOf(instance, 'version') ?? globalVersion) === '3' ? 3 : 2
  return {
    name: instance.words[1] ?? '',
    virtualRouterId: valueOf(instance, 'virtual_router_id') ?? '',
    family: addresses.some(a => a.includes(':')) ? 'IPv6' : 'IPv4',
    interface: valueOf(instance, 'interface') ?? '',
    mode: unicast ? 'unicast' : `multicast ${multicastGroup}`.trim(),
    sourceAddress: unicast ? (valueOf(instance, 'unicast_src_ip') ?? '') : '',
    peers: listOf(instance, 'unicast_peer').map(addressOf).toSorted().join(' '),
    vmac: child(instance, 'use_vmac')?.words.join(' ') ?? '',
    version,
    advertMs: Math.round(Number(valueOf(instance, 'advert_int') ?? DEFAULTS.advertSeconds) * 1000),
    // The password is compared and never shown.
    authentication: auth === undefined ? '' : `${valueOf(auth, 'auth_type') ?? ''} ${(valueOf(auth, 'auth_pass') ?? '').slice(0, 8)}`,
    addresses: addresses.toSorted().join(' '),
    priority: Number(valueOf(instance, 'priority') ?? DEFAULTS.priority),
  }
}

/** undefined where the file cannot be read in full: its braces do not match, or it includes other files. */
export function viewsOf(text: string): readonly InstanceView[] | undefined {
  const conf = parseKeepalivedConf(text)
  if (conf.problems.length > 0 || conf.includes.length > 0) return undefined
  const globals = conf.nodes.filter(n => n.words[0] === 'global_defs')
  const global = (key: string): string | undefined => globals.map(g => valueOf(g, key)).find(v => v !== undefined)
  const group = [global('vrrp_mcast_group4'), global('vrrp_mcast_group6')].filter(g => g !== undefined).join(' ')
  return conf.nodes.filter(n => n.words[0] === 'vrrp_instance').map(n => viewOf(n, global('vrrp_version'), group))
}

/** What identifies an instance at a reload; keepalived, vrrp_exist(). Its name does not count. */
function identityChanges(before: InstanceView, after: InstanceView): readonly string[] {
  const changed: string[] = []
  if (before.virtualRouterId !== after.virtualRouterId)
    changed.push(`virtual_router_id ${before.virtualRouterId} becomes ${after.virtualRouterId}`)
  if (before.family !== after.family) changed.push(`${before.family} becomes ${after.family}`)
  if (before.interface !== after.interface) changed.push(`interface ${before.interface} becomes ${after.interface}`)
  if (before.mode !== after.mode) changed.push(`${before.mode} becomes ${after.mode}`)
  else if (before.sourceAddress !== after.sourceAddress)
    changed.push(`unicast_src_ip ${before.sourceAddress} becomes ${after.sourceAddress}`)
  if (before.vmac !== after.vmac) changed.push('use_vmac changes')
  return changed
}

/** What peers compare in every advert; keepalived, vrrp_check_packet(). */
function advertChanges(before: InstanceView, after: InstanceView): readonly string[] {
  const changed: string[] = []
  if (before.version !== after.version) changed.push(`VRRP version ${before.version} becomes ${after.version}`)
  if (before.addresses !== after.addresses) changed.push('the virtual addresses change')
  // A server that its peers do not know yet gets no adverts from them, and takes the address although they have a master.
  if (before.mode === after.mode && before.peers !== after.peers) changed.push('the unicast peers change')
  if (before.authentication !== after.authentication) changed.push('authentication changes')
  // In version 3 backups learn the master's interval from its adverts.
  if (before.advertMs !== after.advertMs && (before.version === 2 || after.version === 2))
    changed.push(`advert_int ${before.advertMs / 1000} s becomes ${after.advertMs / 1000} s`)
  return changed
}

/** The instance of the old file that became this one: by identity, else by name. */
function counterpart(after: InstanceView, before: readonly InstanceView[]): InstanceView | undefined {
  return before.find(b => identityChanges(b, after).length === 0) ?? before.find(b => b.name === after.name)
}

/**
 * Decides how a new keepalived.conf may be rolled out.
 * none: same bytes. first-time: there was no file. local: one server after the other. together: all within one dead-master time, because
 * peers reject each other's adverts meanwhile. outage: the instance restarts in any order, or the old file is not understood.
 */
export function classifyKeepalivedChange(before: string | undefined, after: string): KeepalivedChange {
  if (before === undefined || before.trim() === '') return { class: 'first-time', reasons: ['there is no keepalived.conf yet'] }
  if (before === after) return { class: 'none', reasons: [] }
  const old = viewsOf(before)
  const now = viewsOf(after)
  if (old === undefined || now === undefined)
    return { class: 'outage', reasons: ['the present keepalived.conf cannot be read in full (includes, or braces that do not match)'] }
  const identity: string[] = []
  const advert: string[] = []
  for (const instance of now) {
    const was = counterpart(instance, old)
    if (was === undefined) {
      // New on all servers: no advert is rejected, but a server that is reloaded alone would hold the new address unheard by its peers.
      advert.push(`${instance.name}: new`)
      continue
    }
    identity.push(...identityChanges(was, instance).map(c => `${instance.name}: ${c}`))
    advert.push(...advertChanges(was, instance).map(c => `${instance.name}: ${c}`))
  }
  for (const was of old) {
    if (!now.some(instance => counterpart(instance, old) === was)) advert.push(`${was.name}: removed`)
  }
  if (identity.length > 0) return { class: 'outage', reasons: [...identity, ...advert] }
  if (advert.length > 0) return { class: 'together', reasons: advert }
  return { class: 'local', reasons: ['priorities, scripts or timings that peers do not compare'] }
}

/**
 * How long the addresses may not answer while all servers change to this file, in ms: 0 unless the change is an outage, else the
 * dead-master time of the new file's slowest instance, because every server starts as a backup.
 */
export function outageMsOf(change: KeepalivedChange, after: string): number {
  if (change.class !== 'outage') return 0
  const views = viewsOf(after) ?? []
  return Math.ceil(Math.max(0, ...views.map(v => masterDownMs(v.advertMs, v.priority, v.version))))
}
