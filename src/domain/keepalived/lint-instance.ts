/** Lint rules about one vrrp_instance. */
import { TRACK_DIR } from '../paths.ts'
import { PRIORITY_MAX } from '../vrrp/priority.ts'
import type { Finding, InstanceContext, InstanceRule as Rule, LintContext } from './lint-context.ts'
import { instanceFinding as finding } from './lint-context.ts'
import { NETWORK_RULES } from './lint-network.ts'
import { child, listOf, valueOf } from './parse.ts'

/** keepalived.conf(5): the default where the keyword is missing. */
const DEFAULT_PRIORITY = 100

function priorityOf(instance: InstanceContext): number {
  return Number(valueOf(instance.node, 'priority') ?? DEFAULT_PRIORITY)
}

const mustHave: Rule = instance => {
  const found: Finding[] = []
  if (!instance.has('interface'))
    found.push(finding(instance, 'interface', 'is missing', 'name the interface that carries the address', true))
  const id = Number(valueOf(instance.node, 'virtual_router_id') ?? 'NaN')
  if (!Number.isInteger(id) || id < 1 || id > 255)
    found.push(
      finding(
        instance,
        'virtual_router_id',
        'must be a number from 1 to 255',
        'choose one that no other cluster on this network has',
        true,
      ),
    )
  if (id === 51)
    found.push(
      finding(instance, 'virtual_router_id', '51 is what most examples use: another cluster on this network may have it', 'choose another'),
    )
  if (listOf(instance.node, 'virtual_ipaddress').length === 0)
    found.push(
      finding(instance, 'virtual_ipaddress', 'is missing: there is nothing to fail over', 'name the address that clients use', true),
    )
  if (new Set(instance.addresses.map(a => a.family)).size > 1)
    found.push(
      finding(instance, 'virtual_ipaddress', 'IPv4 and IPv6 in one list: an advert carries one family', 'make two instances', true),
    )
  return found
}

const priority: Rule = instance => {
  const value = priorityOf(instance)
  if (value === 255)
    return [
      finding(
        instance,
        'priority',
        '255 makes keepalived drop every check: a failed haproxy keeps the address forever',
        'use 254 or less',
        true,
      ),
    ]
  if (!Number.isInteger(value) || value < 1 || value > PRIORITY_MAX)
    return [finding(instance, 'priority', 'must be 1 to 254', 'use 1 to 254', true)]
  if (!instance.has('priority'))
    return [finding(instance, 'priority', 'is missing: keepalived uses 100 on every server', 'give each server its own')]
  return []
}

const trackers: Rule = (instance, { conf }) => {
  const found: Finding[] = []
  for (const tracker of instance.trackers) {
    if (tracker.definition === undefined && conf.includes.length === 0) {
      const keyword = tracker.kind === 'script' ? 'vrrp_script' : 'track_file'
      found.push({
        error: true,
        path: `${instance.path}.track_${tracker.kind}`,
        line: tracker.line,
        message: `there is no ${keyword} ${tracker.name}: keepalived runs without the check, and the address never moves`,
        fix: `define ${keyword} ${tracker.name}, or correct the name`,
      })
    }
  }
  if (instance.trackers.length === 0 && !instance.has('track_process'))
    found.push(
      finding(
        instance,
        'track_script',
        'nothing is tracked: a failed haproxy keeps the address, only a dead server gives it up',
        'track a check of haproxy',
      ),
    )
  return found
}

/** What a weight can and cannot move, as far as this server's file shows. */
const weights: Rule = instance => {
  const base = priorityOf(instance)
  return instance.trackers
    .filter(t => t.kind === 'script' && t.weight !== 0)
    .flatMap((tracker): readonly Finding[] => {
      const at = { path: `${instance.path}.track_script`, line: tracker.line }
      if (instance.has('nopreempt')) {
        const message = `with nopreempt a backup never takes over from a master that only lowers its priority (${tracker.name}, weight ${tracker.weight})`
        return [{ ...at, error: true, message, fix: 'set the weight to 0, or remove nopreempt' }]
      }
      if (tracker.weight > 0 && base >= PRIORITY_MAX) {
        const message = `a failed ${tracker.name} leaves priority ${base}, and no backup can have more than ${PRIORITY_MAX}: the address never moves`
        return [{ ...at, error: true, message, fix: 'lower the priority, or set the weight to 0' }]
      }
      const least = tracker.weight > 0 ? base - tracker.weight : base + tracker.weight
      const found: Finding[] = []
      if (tracker.weight > 0 && base + tracker.weight > PRIORITY_MAX)
        found.push({
          ...at,
          message: `priority ${base} plus ${tracker.weight} is cut to ${PRIORITY_MAX}: servers that should differ may tie`,
          fix: 'keep priority plus weight below 255',
        })
      found.push({
        ...at,
        message: `weight ${tracker.weight}: a failed check moves the address only to backups with a priority above ${least}`,
        fix: `keep the highest priority less the lowest below ${Math.abs(tracker.weight)} over all servers, or set the weight to 0`,
      })
      if (Number(valueOf(instance.node, 'preempt_delay') ?? 0) > 0)
        found.push({
          ...at,
          message: 'preempt_delay delays failover too, not only the way back, because the weight is not 0',
          fix: 'set the weight to 0, or remove preempt_delay',
        })
      return found
    })
}

/** With nopreempt a server that only lowers its priority keeps the address (evidence V6), whatever lowered it. */
const nopreemptBesideWeights: Rule = instance => {
  if (!instance.has('nopreempt')) return []
  const others = instance.otherTrackers
    .filter(tracker => tracker.weight !== 0)
    .map(tracker => ({
      error: true,
      path: `${instance.path}.track_${tracker.kind}`,
      line: tracker.line,
      message: `with nopreempt a backup never takes over from a master that only lowers its priority (${tracker.name}, weight ${tracker.weight})`,
      fix: 'set the weight to 0, or remove nopreempt',
    }))
  // A track file can still give the address up by a value below -253, as hactl's own do.
  const files = instance.trackers
    .filter(tracker => tracker.kind === 'file' && tracker.weight !== 0 && tracker.definition?.command.startsWith(`${TRACK_DIR}/`) !== true)
    .map(tracker => ({
      path: `${instance.path}.track_file`,
      line: tracker.line,
      message: `with nopreempt a value of ${tracker.name} moves nothing unless it is below -253 with its weight of ${tracker.weight}: a lower priority is not enough`,
      fix: 'set the weight to 0, or remove nopreempt',
    }))
  return [...others, ...files]
}

const processes: Rule = instance => {
  if (!instance.has('track_process')) return []
  return [
    finding(
      instance,
      'track_process',
      'works by kernel events that a container does not get: there every server goes to FAULT and nobody holds the address; it sees no hung haproxy either',
      'track a script that asks haproxy',
    ),
  ]
}

const preemption: Rule = instance => {
  const found: Finding[] = []
  const master = valueOf(instance.node, 'state') === 'MASTER'
  for (const key of ['nopreempt', 'preempt_delay']) {
    if (instance.has(key) && master) found.push(finding(instance, key, 'is ignored with state MASTER', 'set state BACKUP on every server'))
  }
  if (instance.has('nopreempt') && instance.has('preempt_delay'))
    found.push(finding(instance, 'preempt_delay', 'has no effect together with nopreempt', 'remove one of the two'))
  if (master)
    found.push(finding(instance, 'state', 'MASTER does not decide who is master, the priority does', 'set state BACKUP on every server'))
  return found
}

const adverts: Rule = instance => {
  const text = valueOf(instance.node, 'advert_int')
  const seconds = Number(text ?? 1)
  if (!(seconds > 0)) return [finding(instance, 'advert_int', `${text} is not a number of seconds`, 'use 1, or 0.2 with version 3', true)]
  if (instance.version === 2 && !Number.isInteger(seconds))
    return [finding(instance, 'advert_int', `VRRPv2 takes whole seconds: ${text} is rounded`, 'use whole seconds, or vrrp_version 3', true)]
  if (seconds < 0.2)
    return [finding(instance, 'advert_int', `${text} s: a master short of CPU loses the address without cause`, 'use 0.2 or more')]
  return []
}

/** A backup does not hold the address, so a check through the address fails on every server except the master. */
const checkThroughAddress: Rule = instance =>
  instance.trackers.flatMap(({ definition, weight, line }) => {
    const through = instance.addresses.find(a =>
      definition?.command.split(/[^0-9a-fA-F.:]+/).some(w => w === a.address || w.startsWith(`${a.address}:`)),
    )
    if (definition === undefined || through === undefined) return []
    return [
      {
        error: weight === 0,
        path: `vrrp_script ${definition.name}.script`,
        line: child(definition.node, 'script')?.line ?? line,
        message: `asks through the virtual address ${through.address}, which no backup holds: backups always fail it and can never take over`,
        fix: 'ask 127.0.0.1 or the socket',
      },
    ]
  })

const habits: Rule = instance => {
  const found: Finding[] = []
  if (instance.has('use_vmac'))
    found.push(
      finding(
        instance,
        'use_vmac',
        'needs promiscuous ports on virtual machines and settings of its own on the server',
        'leave it out: gratuitous ARP moves the address',
      ),
    )
  if (!instance.has('garp_master_refresh'))
    found.push(
      finding(
        instance,
        'garp_master_refresh',
        'neighbours that learned a wrong MAC address are never corrected',
        'add garp_master_refresh 30',
      ),
    )
  for (const key of ['notify', 'notify_master', 'notify_backup', 'notify_fault']) {
    const command = child(instance.node, key)?.words.slice(1).join(' ') ?? ''
    if (/haproxy/.test(command) && /\b(stop|start)\b/.test(command))
      found.push(
        finding(
          instance,
          key,
          'starts or stops haproxy: a backup without it fails its check and cannot take over',
          'let haproxy run on every server',
        ),
      )
  }
  return found
}

const RULES: readonly Rule[] = [
  mustHave,
  priority,
  trackers,
  weights,
  nopreemptBesideWeights,
  processes,
  preemption,
  adverts,
  ...NETWORK_RULES,
  checkThroughAddress,
  habits,
]

/** All findings about one instance. */
export function instanceRules(context: LintContext, instance: InstanceContext): readonly Finding[] {
  return RULES.flatMap(rule => rule(instance, context))
}
