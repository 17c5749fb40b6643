/**
 * What a cluster's settings do to failover: errors for what is invalid or can never fail over, warnings for the rest.
 * The arithmetic is evidence V1 to V7, V15 and T13. Each rule is one named function. The inventory's own rules are not repeated here.
 */
import type { Issue } from '../../inventory/inventory.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { GRACE_SECONDS } from '../hand-over.ts'
import { unreachedAddresses } from '../haproxy/reach.ts'
import { configDoubts } from '../open-connections/config-doubts.ts'
import { handOverOffset } from '../trackers.ts'
import {
  checkFailureKind,
  effectivePriorityOf,
  electionOf,
  failureSets,
  homeOf,
  isWrong,
  ownersOf,
  stopFailureKind,
} from './failover-table.ts'
import type { FailureKind } from './failover-table.ts'
import { effectivePriority } from './priority.ts'

export interface ClusterIssues {
  readonly errors: readonly Issue[]
  readonly warnings: readonly Issue[]
}

interface Place {
  readonly cluster: Cluster
  readonly instance: Instance
  /** "vrrp_instances[0]" */
  readonly path: string
}

/** The ms by which the takeovers of two backups must differ, so that only one of them happens on a LAN. */
const SEPARATION_MS = 20

/** The most rows that one message names: nobody would read more. */
const ROWS_SHOWN = 4

function span(instance: Instance): { readonly highest: number; readonly lowest: number } {
  const all = Object.values(instance.priority)
  return { highest: Math.max(...all), lowest: Math.min(...all) }
}

/** What to set so that any healthy server beats any failed one. */
function weightFix(instance: Instance): string {
  const { highest, lowest } = span(instance)
  const gap = highest - lowest
  if (highest + gap + 1 <= 254) return `set vrrp_script.weight to 0, or to more than ${gap} (the highest priority less the lowest)`
  return `set vrrp_script.weight to 0, or bring the priorities closer together: the weight must be more than ${gap}, and priority plus weight less than 255`
}

function oneServer(cluster: Cluster): readonly Issue[] {
  if (cluster.servers.length > 1) return []
  return [{ path: 'servers', message: 'one server cannot fail over: nobody takes the address', fix: 'add a second server' }]
}

function priorityRange({ cluster, instance, path }: Place): readonly Issue[] {
  return cluster.servers.flatMap(server => {
    const priority = instance.priority[server.name] ?? 0
    if (Number.isInteger(priority) && priority >= 1 && priority <= 254) return []
    const message =
      priority === 255
        ? 'priority 255 makes keepalived ignore the check: a failed haproxy keeps the address forever'
        : `priority ${priority} is outside of 1 to 254`
    return [{ path: `${path}.priority.${server.name}`, message, fix: 'use 1 to 254, the highest for the first master' }]
  })
}

function nopreemptWithWeight({ cluster, instance, path }: Place): readonly Issue[] {
  if (!instance.nopreempt || cluster.check.weight === 0) return []
  return [
    {
      path: `${path}.nopreempt`,
      message: `with nopreempt and vrrp_script.weight ${cluster.check.weight} the backups never take over from a master whose check fails`,
      fix: 'set vrrp_script.weight to 0, so that a failed check gives the address up, or leave nopreempt out',
    },
  ]
}

function neverFailsOver({ cluster, instance, path }: Place): readonly Issue[] {
  if (cluster.servers.length < 2 || instance.nopreempt) return []
  const home = homeOf(cluster, instance)
  if (home === undefined || electionOf(cluster, instance, [home], home).owner !== home) return []
  const failed = effectivePriorityOf(cluster, instance, home, false)
  const others = cluster.servers.filter(s => s.name !== home).map(s => effectivePriorityOf(cluster, instance, s.name, true))
  return [
    {
      path: 'vrrp_script.weight',
      message: `${path}: never fails over: with its haproxy failed ${home} still has priority ${failed}, its best backup ${Math.max(...others)}`,
      fix: weightFix(instance),
    },
  ]
}

function authenticationInVersion3({ cluster, instance, path }: Place): readonly Issue[] {
  if (instance.version !== 3 || instance.authentication === undefined) return []
  return [
    {
      path: `${path}.authentication`,
      message: 'VRRPv3 has no authentication: keepalived ignores it (adverts are taken from the unicast peers only instead)',
      fix: cluster.profile === 'fast' ? 'remove authentication, or set profile: classic' : 'remove authentication, or set version: 2',
    },
  ]
}

/** Sets of failed servers in which a failed server may keep the address, without the sets that the error above names. */
function wrongRows({ cluster, instance }: Place, kind: FailureKind): readonly string[] {
  if (instance.nopreempt) return []
  return failureSets(cluster.servers.map(s => s.name)).flatMap(failed => {
    const owners = ownersOf(cluster, instance, failed, kind)
    if (!isWrong(cluster, owners, failed)) return []
    return [`${failed.join(' + ')} failed: ${[...owners].find(o => o !== undefined && failed.includes(o)) ?? 'nobody'}`]
  })
}

function rowList(rows: readonly string[]): string {
  return rows.length > ROWS_SHOWN ? `${rows.slice(0, ROWS_SHOWN).join('; ')}; and ${rows.length - ROWS_SHOWN} more` : rows.join('; ')
}

function cascadeGaps(place: Place): readonly Issue[] {
  const rows = wrongRows(place, stopFailureKind(place.cluster))
  if (rows.length === 0 || neverFailsOver(place).length > 0) return []
  return [
    {
      path: 'vrrp_script.weight',
      message: `${place.path}: when more than one haproxy has failed, a failed server may keep the address although a healthy one is there (${rowList(rows)})`,
      fix: weightFix(place.instance),
    },
  ]
}

/** fast detects a stopped haproxy by itself, whatever the weight is. Only the check detects a hung one. */
function hangByWeight(place: Place): readonly Issue[] {
  const { cluster, instance, path } = place
  if (cluster.profile !== 'fast' || cluster.check.weight === 0) return []
  const rows = wrongRows(place, checkFailureKind(cluster))
  const slow = `${path}: a hung haproxy keeps the address for the dead-master time instead of giving it up at once, because vrrp_script.weight is ${cluster.check.weight}`
  const never = `${path}: a hung haproxy may keep the address, because vrrp_script.weight ${cluster.check.weight} is too small (${rowList(rows)})`
  return [
    { path: 'vrrp_script.weight', message: rows.length > 0 && !instance.nopreempt ? never : slow, fix: 'leave vrrp_script.weight at 0' },
  ]
}

function preemptDelayWithWeight({ cluster, instance, path }: Place): readonly Issue[] {
  if (instance.preemptDelayMs === 0) return []
  const issues: Issue[] = []
  if (cluster.check.weight !== 0) {
    issues.push({
      path: `${path}.preempt_delay`,
      message: `delays failover too, not only the way back: with vrrp_script.weight ${cluster.check.weight} a failed check costs ${instance.preemptDelayMs / 1000} s more`,
      fix: 'set vrrp_script.weight to 0, or leave preempt_delay out',
    })
  }
  if (instance.nopreempt)
    issues.push({ path: `${path}.preempt_delay`, message: 'has no effect together with nopreempt', fix: 'remove one of the two' })
  return issues
}

function breaksBeforeMakes({ cluster, instance, path }: Place): readonly Issue[] {
  if (cluster.profile !== 'fast' || handOverOffset(cluster) === -253) return []
  const key = instance.nopreempt ? 'nopreempt' : instance.preemptDelayMs > 0 ? 'preempt_delay' : undefined
  if (key === undefined) return []
  const what = cluster.instances.length === 1 ? 'the address' : "every instance's addresses"
  return [
    {
      path: `${path}.${key}`,
      message: `a planned stop gives ${what} up before a backup has ${cluster.instances.length === 1 ? 'it' : 'them'}: a request or two may fail where none would without ${key}`,
      fix: `leave ${key} out: a crashing haproxy is damped without it`,
    },
  ]
}

function offsetLaw({ cluster, instance, path }: Place): readonly Issue[] {
  const offset = handOverOffset(cluster)
  if (cluster.profile !== 'fast' || offset === -254) return []
  const { weight } = cluster.check
  const gain = Math.max(0, weight)
  const least = Math.min(...cluster.servers.map(s => effectivePriorityOf(cluster, instance, s.name, true)))
  const drained = Math.max(...cluster.servers.map(s => effectivePriority(instance.priority[s.name] ?? 1, [gain, offset])))
  if (drained < least) return []
  return [
    {
      path: `${path}.priority`,
      message: `a server lowered by ${-offset} for a planned stop still has priority ${drained}, and the lowest backup has ${least}: nothing is handed over, and a stop loses about 0.2 s`,
      fix: 'give every server a priority of at least 2, and keep highest less lowest below 253',
    },
  ]
}

/** The inventory warns about priorities that are equal as written. These become equal by the weight and keepalived's limit of 254. */
function ties({ cluster, instance, path }: Place): readonly Issue[] {
  const byPriority = new Map<number, string[]>()
  for (const server of cluster.servers) {
    const priority = effectivePriorityOf(cluster, instance, server.name, true)
    byPriority.set(priority, [...(byPriority.get(priority) ?? []), server.name])
  }
  return [...byPriority].flatMap(([priority, names]) =>
    names.length < 2 || new Set(names.map(n => instance.priority[n])).size < names.length
      ? []
      : [
          {
            path: `${path}.priority`,
            message: `${names.join(' and ')} have the same effective priority ${priority}: both become master at the same moment`,
            fix: 'give every server its own priority, and keep priority plus weight below 255',
          },
        ],
  )
}

/** Only the steps between backups count: the master never competes with them. */
function smallSteps({ cluster, instance, path }: Place): readonly Issue[] {
  const scaleMs = instance.version === 3 ? instance.advertIntMs : 1000
  const need = Math.ceil((256 * SEPARATION_MS) / scaleMs)
  const sorted = cluster.servers.map(s => instance.priority[s.name] ?? 1).toSorted((a, b) => b - a)
  const steps = sorted.slice(1).flatMap((p, i, backups) => (i === 0 ? [] : [(backups[i - 1] ?? p) - p]))
  const smallest = Math.min(...steps)
  if (steps.length === 0 || smallest >= need || smallest === 0) return []
  const apartMs = Math.round((smallest / 256) * scaleMs * 10) / 10
  return [
    {
      path: `${path}.priority`,
      message: `backups ${smallest} apart take over within ${apartMs} ms of each other when the master dies: two may answer for a moment`,
      fix: `put the backups' priorities at least ${need} apart`,
    },
  ]
}

function shortAdverts({ instance, path }: Place): readonly Issue[] {
  if (instance.advertIntMs >= 200) return []
  const seen = instance.advertIntMs < 50 ? 'tens of' : instance.advertIntMs < 100 ? 'about 20' : 'a few'
  return [
    {
      path: `${path}.advert_int`,
      message: `${instance.advertIntMs / 1000} s: a master short of CPU lost the address without cause ${seen} times within 15 s in our tests (none at 0.2 s)`,
      fix: 'use 0.2 or more',
    },
  ]
}

function openAdverts({ instance, path }: Place): readonly Issue[] {
  if (instance.authentication !== undefined) {
    return [
      {
        path: `${path}.authentication`,
        message: 'the password travels in plain text and keeps no attacker out',
        fix: 'let a firewall take IP protocol 112 from the other servers only',
      },
    ]
  }
  if (instance.version === 2 || instance.unicastPeers !== 'none') return []
  return [
    {
      path: `${path}.unicast_peer`,
      message: 'multicast VRRPv3: any machine on the network can take the address',
      fix: 'leave unicast_peer at its default in profile fast, or let a firewall take IP protocol 112 from the other servers only',
    },
  ]
}

function checkTiming(cluster: Cluster): readonly Issue[] {
  const { interval, timeout, fall } = cluster.check
  const issues: Issue[] = []
  if (timeout > interval) {
    issues.push({
      path: 'vrrp_script.timeout',
      message: `longer than the interval (${interval} s): keepalived 2.1 to 2.3.1 start the check again while it runs`,
      fix: `set vrrp_script.timeout to ${interval}`,
    })
  }
  if (cluster.profile === 'fast' && (interval !== 1 || fall > 1)) {
    issues.push({
      path: 'vrrp_script',
      message: `a hung haproxy is found after up to ${fall * interval} s instead of half a second`,
      fix: 'leave interval and fall at 1 where the servers are not short of CPU (docs/reliability.md, Slow servers)',
    })
  }
  return issues
}

function mail(cluster: Cluster): readonly Issue[] {
  const { notificationEmail } = cluster.globalDefs
  const issues: Issue[] = []
  if (notificationEmail.length > 0 && !cluster.instances.some(i => i.smtpAlert))
    issues.push({
      path: 'global_defs.notification_email',
      message: 'no mail is ever sent: smtp_alert is off everywhere',
      fix: 'set smtp_alert: true',
    })
  if (notificationEmail.length === 0 && cluster.instances.some(i => i.smtpAlert))
    issues.push({ path: 'vrrp_instances', message: 'smtp_alert has no recipient', fix: 'set global_defs.notification_email' })
  return issues
}

/**
 * keepalived announces the addresses of an interface one after the other, with the interval between each two. All instances that name no
 * interface count as on one.
 */
function lateAnnouncements({ profile, servers, instances, globalDefs }: Cluster): readonly Issue[] {
  const seconds = globalDefs.vrrp_garp_interval
  if (profile !== 'fast' || seconds === undefined) return []
  const announced = new Map<string, number>()
  for (const { interface: cards, virtualAddresses } of instances) {
    for (const { name } of servers) {
      const card = `${name} ${cards[name] ?? ''}`
      announced.set(card, (announced.get(card) ?? 0) + virtualAddresses.filter(({ family }) => family === 4).length)
    }
  }
  const most = Math.max(...announced.values())
  const microseconds = (most - 1) * Math.round(seconds * 1e6)
  if (microseconds <= GRACE_SECONDS * 1e6) return []
  return [
    {
      path: 'global_defs.vrrp_garp_interval',
      message: `of ${most} addresses on one interface the last is announced ${microseconds / 1e6} s after the first, and a server that gives them away answers for ${GRACE_SECONDS} s: new connections may fail meanwhile`,
      fix: `set it to ${Math.floor((GRACE_SECONDS * 1e6) / (most - 1)) / 1e6} or less`,
    },
  ]
}

/** All errors and warnings about a cluster. Pure arithmetic: no server is asked. */
export function clusterIssues(cluster: Cluster): ClusterIssues {
  const places = cluster.instances.map((instance, i): Place => ({ cluster, instance, path: `vrrp_instances[${i}]` }))
  const each = (rules: readonly ((place: Place) => readonly Issue[])[]): readonly Issue[] =>
    places.flatMap(p => rules.flatMap(rule => rule(p)))
  return {
    errors: [...oneServer(cluster), ...each([priorityRange, nopreemptWithWeight, neverFailsOver, authenticationInVersion3])],
    warnings: [
      ...checkTiming(cluster),
      ...mail(cluster),
      ...lateAnnouncements(cluster),
      ...unreachedAddresses(cluster),
      ...configDoubts(cluster),
      ...each([
        cascadeGaps,
        hangByWeight,
        preemptDelayWithWeight,
        breaksBeforeMakes,
        offsetLaw,
        ties,
        smallSteps,
        shortAdverts,
        openAdverts,
      ]),
    ],
  }
}
