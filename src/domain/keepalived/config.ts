/** One server's keepalived.conf. A pure function of cluster and facts; one blank between keyword and value. */
import { HactlError } from '../../errors.ts'
import type { Cluster, ClusterServer, Instance } from '../cluster-types.ts'
import type { NodeFacts } from '../node-facts.ts'
import { CHECK_SCRIPT, GENERATED_LINE } from '../paths.ts'
import { TRACKERS } from '../trackers.ts'
import { isAtLeast } from '../version.ts'

/** The name of the check in keepalived.conf, in keepalived's log and in its JSON. */
export const CHECK_NAME = 'chk_haproxy_service_status'

/** A line, or a block with its lines. */
type Node = string | { readonly head: string; readonly body: readonly Node[] }

/** keepalived's own limit for auth_pass: a longer password is cut off (keepalived.conf(5), authentication). */
const AUTH_PASS_MAX = 8

/**
 * A value that keepalived reads as one word, unchanged. Comments, quotes, blocks, variables and blanks would change its meaning, and a
 * leading @ makes the line conditional (keepalived.conf(5), "COMMENTS", "QUOTED STRINGS", "CONDITIONAL CONFIGURATION").
 */
export function isKeepalivedWord(text: string): boolean {
  return /^[A-Za-z0-9%&()*+,./:;<=>?@[\]^_`|~-]+$/.test(text) && !text.startsWith('@')
}

function word(value: string, what: string): string {
  if (isKeepalivedWord(value)) return value
  throw new HactlError({
    code: 'E_INVENTORY_INVALID',
    what: `${what}: "${value.replace(/[^\x20-\x7e]/g, '?')}" cannot be written in keepalived.conf`,
    why: ['spaces, quotes, braces and the characters ! # $ \\ mean something else to keepalived'],
    fix: 'use letters, digits and . _ - : / @',
  })
}

function authPass(instance: Instance, pass: string): string {
  const where = `authentication.auth_pass of ${instance.name}`
  const refuse = (what: string, why: string, fix: string): HactlError =>
    new HactlError({ code: 'E_SECRET', what: `${where} ${what}`, why: [why], fix })
  if (pass === '') throw refuse('is empty', 'its source gave nothing', 'check the variable, file or command that it comes from')
  if (!isKeepalivedWord(pass))
    throw refuse(
      'has characters that keepalived.conf cannot hold',
      'quotes, spaces, braces, ! # $ \\ and a leading @ are syntax there',
      'use letters and digits',
    )
  // keepalived would cut the rest off itself, with a warning; the inventory's check has warned already.
  return pass.slice(0, AUTH_PASS_MAX)
}

function block(head: string, body: readonly Node[]): Node {
  return { head, body }
}

function renderNodes(nodes: readonly Node[], depth: number): string {
  const indent = '    '.repeat(depth)
  return nodes
    .map(node =>
      typeof node === 'string' ? `${indent}${node}\n` : `${indent}${node.head} {\n${renderNodes(node.body, depth + 1)}${indent}}\n`,
    )
    .join('')
}

function globalDefs(cluster: Cluster): Node {
  const defs = cluster.globalDefs
  const lines: Node[] = []
  if (defs.notificationEmail.length > 0) {
    lines.push(
      block(
        'notification_email',
        defs.notificationEmail.map(mail => word(mail, 'global_defs.notification_email')),
      ),
    )
  }
  if (defs.notification_email_from !== undefined)
    lines.push(`notification_email_from ${word(defs.notification_email_from, 'global_defs.notification_email_from')}`)
  if (defs.smtpServer !== undefined)
    lines.push(`smtp_server ${word(defs.smtpServer, 'global_defs.smtp_server')}${defs.smtpPort === undefined ? '' : ` ${defs.smtpPort}`}`)
  if (defs.smtp_connect_timeout !== undefined) lines.push(numberLine('smtp_connect_timeout', defs.smtp_connect_timeout))
  if (defs.router_id !== undefined) lines.push(`router_id ${word(defs.router_id, 'global_defs.router_id')}`)
  if (defs.vrrp_garp_interval !== undefined) lines.push(numberLine('vrrp_garp_interval', defs.vrrp_garp_interval))
  lines.push('enable_script_security', 'script_user root')
  if (cluster.instances.some(i => i.version === 3)) lines.push('vrrp_version 3')
  if (cluster.profile === 'fast') {
    // A busy server must not look like a dead one. The nice value, unlike realtime scheduling, cannot starve other processes.
    lines.push('vrrp_priority -20')
    // Version 3 has no authentication: only adverts from one of the peers are accepted.
    if (cluster.instances.every(i => i.unicastPeers !== 'none')) lines.push('vrrp_check_unicast_src')
    // An old master that hears a higher priority answers once, so that the new master announces its address again (evidence V14).
    lines.push('vrrp_higher_prio_send_advert true')
  }
  return block('global_defs', lines)
}

function checkBlock(cluster: Cluster, server: string, facts: NodeFacts): Node {
  const { interval, fall, rise, timeout, weight } = cluster.check
  for (const [key, value] of Object.entries({ interval, timeout })) {
    if (!Number.isInteger(value) && !isAtLeast(facts.keepalivedVersion, '2.3.2')) {
      throw new HactlError({
        code: 'E_CONFIG_REFUSED',
        server,
        what: `${server}: vrrp_script.${key} is ${value} s, and keepalived ${facts.keepalivedVersion} takes whole seconds only`,
        why: ['keepalived before 2.3.2 ignores a fraction and checks once a second'],
        fix: `set vrrp_script.${key} to ${Math.max(1, Math.round(value))}`,
      })
    }
  }
  return block(`vrrp_script ${CHECK_NAME}`, [
    `script "${CHECK_SCRIPT}"`,
    `interval ${interval}`,
    `fall ${fall}`,
    `rise ${rise}`,
    `timeout ${timeout}`,
    `weight ${weight}`,
  ])
}

/**
 * Before 2.1.0 the block's name is vrrp_track_file; later releases accept the new name without a message (evidence P1). There is no
 * init_file (evidence T2): see src/on-server/trackers.sh.
 */
function trackFileBlocks(facts: NodeFacts): readonly Node[] {
  const keyword = isAtLeast(facts.keepalivedVersion, '2.1.0') ? 'track_file' : 'vrrp_track_file'
  return TRACKERS.map(t => block(`${keyword} ${t.name}`, [`file "${t.path}"`, `weight ${t.weight}`]))
}

/**
 * keepalived takes MASTER as a hint only, but clears nopreempt and preempt_delay where it is set (evidence K2). classic writes MASTER as
 * the article does, except where that would happen.
 */
function stateOf(cluster: Cluster, instance: Instance, server: ClusterServer): 'MASTER' | 'BACKUP' {
  if (cluster.profile === 'fast' || instance.nopreempt || instance.preemptDelayMs > 0) return 'BACKUP'
  const own = instance.priority[server.name] ?? 0
  const first = cluster.servers.find(s => cluster.servers.every(o => (instance.priority[o.name] ?? 0) <= (instance.priority[s.name] ?? 0)))
  return first?.name === server.name && own > 0 ? 'MASTER' : 'BACKUP'
}

function missing(server: string, instance: Instance, what: string): never {
  throw new HactlError({
    code: 'E_NO_INTERFACE',
    server,
    what: `${server}: ${what} of ${instance.name} is not known`,
    fix: `set vrrp_instances: ${instance.name}: interface and unicast_src_ip for ${server}`,
  })
}

function unicastLines(cluster: Cluster, instance: Instance, server: ClusterServer, facts: NodeFacts): readonly Node[] {
  if (instance.unicastPeers === 'none') return []
  const own = facts.srcIp[instance.name]?.[server.name] ?? missing(server.name, instance, 'the address')
  const peers =
    instance.unicastPeers === 'all'
      ? cluster.servers
          .filter(s => s.name !== server.name)
          .map(s => facts.srcIp[instance.name]?.[s.name] ?? missing(s.name, instance, 'the address'))
      : instance.unicastPeers.filter(peer => peer !== own)
  return [
    `unicast_src_ip ${word(own, 'unicast_src_ip')}`,
    block(
      'unicast_peer',
      peers.map(peer => word(peer, 'unicast_peer')),
    ),
  ]
}

/** Seconds with no more digits than needed: 1, 0.2. */
function seconds(ms: number): string {
  return String(Math.round(ms) / 1000)
}

/** A setting that is not a number is rendered by a function of its own, because it must be quoted. */
function numberLine(key: string, value: number): string {
  return `${key} ${value}`
}

function instanceBlock(cluster: Cluster, instance: Instance, server: ClusterServer, facts: NodeFacts): Node {
  const iface = facts.interface[instance.name] ?? missing(server.name, instance, 'the interface')
  const mixedVersions = new Set(cluster.instances.map(i => i.version)).size > 1
  const body: Node[] = [
    `state ${stateOf(cluster, instance, server)}`,
    `interface ${word(iface, 'interface')}`,
    `virtual_router_id ${instance.virtualRouterId}`,
    `priority ${instance.priority[server.name] ?? 1}`,
    `advert_int ${seconds(instance.advertIntMs)}`,
  ]
  if (mixedVersions) body.push(`version ${instance.version}`)
  if (instance.nopreempt) body.push('nopreempt')
  if (instance.preemptDelayMs > 0) body.push(`preempt_delay ${seconds(instance.preemptDelayMs)}`)
  body.push(...unicastLines(cluster, instance, server, facts))
  for (const [key, value] of Object.entries(instance.settings)) body.push(numberLine(key, value))
  if (instance.authentication !== undefined) {
    const { type, pass } = instance.authentication
    body.push(block('authentication', [`auth_type ${type}`, `auth_pass ${authPass(instance, pass.reveal())}`]))
  }
  body.push(
    block(
      'virtual_ipaddress',
      instance.virtualAddresses.map(v => (v.prefix === undefined ? v.address : `${v.address}/${v.prefix}`)),
    ),
    block('track_script', [CHECK_NAME]),
  )
  if (cluster.profile === 'fast') {
    body.push(
      block(
        'track_file',
        TRACKERS.map(t => t.name),
      ),
    )
  }
  if (instance.smtpAlert) body.push('smtp_alert')
  return block(`vrrp_instance ${word(instance.name, 'vrrp_instances')}`, body)
}

/**
 * Throws E_INVENTORY_INVALID or E_SECRET for a value that the file cannot carry, E_NO_INTERFACE where the facts lack an interface or
 * address, E_CONFIG_REFUSED for a fraction that this server's keepalived would ignore.
 */
export function renderKeepalivedConf(cluster: Cluster, serverName: string, facts: NodeFacts): string {
  const server = cluster.servers.find(s => s.name === serverName)
  if (server === undefined) throw new TypeError(`no server ${serverName} in the cluster`)
  const blocks = [
    globalDefs(cluster),
    checkBlock(cluster, serverName, facts),
    ...(cluster.profile === 'fast' ? trackFileBlocks(facts) : []),
    ...cluster.instances.map(instance => instanceBlock(cluster, instance, server, facts)),
  ]
  return [`${GENERATED_LINE}\n`, ...blocks.map(b => renderNodes([b], 0))].join('\n')
}
