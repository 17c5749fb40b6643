/** What a drill disturbs and how that is undone, when it may start, who should take over, and how long each phase may last. */
import type { ObservedInstance } from '../../state/instance.ts'
import type { ObservedNode } from '../../state/observed.ts'
import type { DrillExpectation, DrillFile } from '../../state/drill.ts'
import { UNITS } from '../../state/units.ts'
import { isHeld } from '../addresses.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { holderProblems, nodeProblems } from '../health.ts'
import { isDrained, TRACKER_FILES } from '../trackers.ts'

/** What must be seen for this drill to pass on a cluster of this profile. */
export function expectationFor(drill: DrillFile, profile: Cluster['profile']): DrillExpectation {
  return profile === 'classic' ? { ...drill.expect, ...drill.classic } : drill.expect
}

/**
 * The same for one instance. Two holders that hear each other again need an advert of the better one: where adverts are rarer than the time
 * that the drill allows, it allows two of them.
 */
export function expectationOn({ advertIntMs }: Pick<Instance, 'advertIntMs'>, expect: DrillExpectation): DrillExpectation {
  return expect.healsMs === undefined ? expect : { ...expect, healsMs: Math.max(expect.healsMs, 2 * advertIntMs) }
}

/** Units whose state a drill compares before and after it. */
export const DRILL_UNITS: readonly string[] = UNITS

/** Why this cluster is not healthy enough for a drill, one line each; empty where it is. `nodes` are all of its servers. */
export function drillRefusals(cluster: Cluster, nodes: readonly ObservedNode[]): readonly string[] {
  return [
    ...(nodes.length < 2 ? ['a drill needs at least two servers'] : []),
    ...nodes.flatMap(node => nodeProblems(cluster, node).map(problem => `${node.server}: ${problem}`)),
    ...nodes
      .filter(node => node.residue.length > 0)
      .map(node => `${node.server}: left over from an earlier drill: ${node.residue.join(', ')}`),
    ...holderProblems(cluster, nodes),
    ...takersProblems(nodes),
    ...cluster.instances.flatMap(instance => movingProblems(nodes, instance.name)),
  ]
}

/** More than one server has the address and is master of its instance, by its own keepalived. */
export interface SplitBrain {
  readonly instance: string
  readonly vip: string
  readonly servers: readonly string[]
}

/** Where a cluster is split, its failover has failed already. An address on a server that is not master was put there by something else. */
export function splitBrains(cluster: Cluster, nodes: readonly ObservedNode[]): readonly SplitBrain[] {
  return cluster.instances.flatMap(({ name, virtualAddresses }) =>
    virtualAddresses.flatMap(({ address }) => {
      const servers = nodes
        .filter(node => instanceOf(node, name)?.state === 'MASTER' && isHeld(node.facts.addresses, address))
        .map(node => node.server)
      return servers.length > 1 ? [{ instance: name, vip: address, servers }] : []
    }),
  )
}

/** Drained servers are healthy, but where only they are left, a failure would move the address to a server that its operator took out. */
function takersProblems(nodes: readonly ObservedNode[]): readonly string[] {
  const drained = nodes.filter(isDrained).map(node => node.server)
  const isOneLeft = nodes.length - drained.length < 2 && drained.length > 0
  return isOneLeft ? [`nobody is left to take over: ${drained.join(', ')} drained; hactl undrain gives a server back`] : []
}

/** An address that is about to move by itself would look as if the drill had moved it. */
function movingProblems(nodes: readonly ObservedNode[], instance: string): readonly string[] {
  const seen = nodes.flatMap(node => {
    const own = instanceOf(node, instance)
    return own === undefined ? [] : [{ server: node.server, ...own }]
  })
  const master = seen.find(own => own.state === 'MASTER')
  if (master === undefined) return []
  return seen
    .filter(own => !own.nopreempt && own.effectivePriority > master.effectivePriority)
    .map(own => `${instance} is about to move from ${master.server} to ${own.server}, whose priority is higher: wait until it has`)
}

/**
 * Who will take over when `from` is out: the server with the highest effective priority among the others, as their keepalived has it now.
 * undefined where no other can, or where two are equal: then the higher address on the VIP's interface wins (RFC 5798 section 6.4.3).
 */
export function predictTaker(nodes: readonly ObservedNode[], instance: string, from: string): string | undefined {
  const fit = nodes
    .filter(node => node.server !== from)
    .flatMap(node => {
      const seen = instanceOf(node, instance)
      return seen === undefined || seen.state === 'FAULT' ? [] : [{ server: node.server, priority: seen.effectivePriority }]
    })
    .sort((a, b) => b.priority - a.priority)
  const [first, second] = fit
  return first === undefined || first.priority === second?.priority ? undefined : first.server
}

/**
 * Whether predictTaker's answer is certain: backups preempt at once, and none has a hook's offset, which ends by itself and would change
 * its priority before or during the drill.
 */
export function isTakerCertain(nodes: readonly ObservedNode[], instance: Pick<Instance, 'name' | 'nopreempt' | 'preemptDelayMs'>): boolean {
  if (instance.nopreempt || instance.preemptDelayMs > 0) return false
  const offsets = [TRACKER_FILES.haproxy_offset, TRACKER_FILES.keepalived_offset]
  return nodes.every(node => {
    const own = instanceOf(node, instance.name)
    return own?.nopreempt === false && own.delaysPreempt !== true && offsets.every(path => (Number(node.trackers[path] ?? 0) || 0) === 0)
  })
}

/** Whether the address will go back to `from`: it has the highest priority and preempts. */
export function goesHome(nodes: readonly ObservedNode[], instance: string, from: string): boolean {
  const home = nodes.find(node => node.server === from)
  const seen = home === undefined ? undefined : instanceOf(home, instance)
  if (seen === undefined || seen.nopreempt) return false
  return nodes.every(node => node.server === from || (instanceOf(node, instance)?.effectivePriority ?? 0) < seen.effectivePriority)
}

/**
 * Who will have the address after `rounds` holders went out one after the other: predictTaker for each. undefined where one of them
 * cannot be predicted.
 */
export function predictLast(nodes: readonly ObservedNode[], instance: string, from: string, rounds: number): string | undefined {
  const taker = predictTaker(nodes, instance, from)
  if (rounds <= 1 || taker === undefined) return taker
  return predictLast(
    nodes.filter(node => node.server !== from),
    instance,
    taker,
    rounds - 1,
  )
}

/** How long the phases of a drill may last, in ms. */
export interface DrillLimits {
  /** For each round. */
  readonly takeoverMs: number
  readonly failbackMs: number
  /** Counted from the arming: the server undoes the disturbance by itself after this time. At most 60 s, times the patience. */
  readonly undoAfterMs: number
  /** How long a server may take to boot; 0 where none does. */
  readonly bootMs: number
  /** How long a stop of haproxy may wait for open connections. The undo, and a reboot, wait until it has ended. */
  readonly stopMs: number
}

interface DrillScope {
  readonly rounds?: number
  readonly lastsMs?: number
  readonly boots?: boolean
  readonly patience?: number
  readonly stopMs?: number
}

const UNDO_AFTER_MAX_MS = 60_000
/** Arming, the disturbance's own command and the undo have to fit between the last look and the timer. */
const UNDO_MARGIN_MS = 15_000
/** A move that goes well is judged within this time. */
export const TAKEOVER_MIN_MS = 8000
/** How long the drill watches for a takeover that must not come. */
const TAKEOVER_NEVER_MS = 15_000
/** Physical servers test their memory and wait for their disk controllers. */
const BOOT_MS = 300_000

/**
 * The takeover is watched for twice as long as it may last, so that a slow one is measured and not just missed,
 * but never for so long that the undo timer would end it. `maxOutageMs` undefined: no takeover is expected.
 * `settleMs`: how long a healthy cluster may need to settle after the undo. `patience`: that of the sessions. The outage that
 * the operator allows is a measure, and does not grow with it.
 */
export function drillLimits(
  maxOutageMs: number | undefined,
  settleMs: number,
  { rounds = 1, lastsMs = 0, boots = false, patience = 1, stopMs = 0 }: DrillScope = {},
): DrillLimits {
  const leastMs = (maxOutageMs === undefined ? TAKEOVER_NEVER_MS : TAKEOVER_MIN_MS) * patience
  const wantedMs = Math.max(2 * (maxOutageMs ?? 0), leastMs) + lastsMs
  const marginMs = UNDO_MARGIN_MS * patience
  // All rounds have to end before the first server's timer fires.
  const takeoverMs = Math.min(wantedMs, Math.floor((UNDO_AFTER_MAX_MS * patience - marginMs) / rounds))
  return {
    takeoverMs,
    failbackMs: settleMs,
    undoAfterMs: takeoverMs * rounds + marginMs,
    bootMs: boots ? BOOT_MS * patience + stopMs : 0,
    stopMs,
  }
}

/** What must be seen for a drill to pass, in one line: for the operator, before it starts. */
export function expectationText(
  expect: DrillExpectation,
  maxOutageMs: number | undefined,
  taker: string | undefined,
  from: string,
  keepsConnections = false,
): string {
  const parts: string[] = []
  const bound = maxOutageMs === undefined ? '' : ` within ${maxOutageMs} ms`
  switch (expect.taker) {
    case 'next':
      parts.push(`${taker ?? 'another server'} takes over${bound}`)
      break
    case 'nobody':
      parts.push(`the address stays on ${from}`)
      break
    case 'either':
      parts.push(`the address stays on ${from} or ${taker ?? 'another server'} takes over, answering again${bound}`)
      break
  }
  if (expect.holders === 2) parts.push('two servers hold it until the undo')
  if (expect.healsMs !== undefined) parts.push(`one holder again within ${expect.healsMs} ms of the undo`)
  if (expect.twoHoldersMs !== undefined) parts.push(`two holders for at most ${expect.twoHoldersMs} ms`)
  if (expect.moves !== undefined) parts.push(expect.moves === 0 ? 'it never moves' : `at most ${expect.moves} moves`)
  if (expect.lost !== undefined) parts.push(`${expect.lost === 0 ? 'no' : `at most ${expect.lost}`} new connections lost`)
  if (keepsConnections) parts.push('no open connection is cut')
  return parts.join('; ')
}

function instanceOf(node: ObservedNode, name: string): ObservedInstance | undefined {
  return node.instances.find(instance => instance.name === name)
}
