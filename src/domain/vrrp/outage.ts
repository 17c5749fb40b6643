/** How long clients get no answer, for every event that failover covers. */
import { CHECK_ASKS, checkPace } from '../haproxy/check-script.ts'
import { handOverLimitMs } from '../hand-over.ts'
import { handOverOffset } from '../trackers.ts'
import type { Cluster, Instance } from '../cluster-types.ts'
import { fateOf, fateWords } from '../open-connections/fate.ts'
import { checkFailureKind, effectivePriorityOf, electionOf, homeOf, stopFailureKind } from './failover-table.ts'
import type { FailureKind } from './failover-table.ts'
import type { SpanMs } from './timing.ts'
import { detectionMs, silentTakeoverMs, skewMs } from './timing.ts'

export type OutageEvent = 'haproxy-stop' | 'haproxy-kill' | 'haproxy-hang' | 'keepalived-stop' | 'server-dead'

export interface OutageBound {
  readonly event: OutageEvent
  /** What to expect; undefined where no server ever takes over. */
  readonly expectedMs: number | undefined
  readonly worstMs: number | undefined
  /** How the figures are calculated, in the operator's words. */
  readonly how: string
  /** What becomes of open connections, on servers that can keep them: "kept". */
  readonly openConnections: string
}

/** The time from the takeover until clients reach the new master: gratuitous ARP, and a probe's own spacing. */
const ARRIVAL_MS = 100

/** The time that a busy server adds to event-driven steps: systemd's hook, inotify, keepalived's own scheduling. */
const BUSY_MS = 400

/** systemd's RestartSec of haproxy.service and haproxy's own start: together 0.3 s on three releases. */
const RESTART_MS = 300

/** The start of perl and its first question. */
const ASK_START_MS = 30

interface Takeover {
  /** After a priority-0 advert: the master stopped, or went to FAULT. */
  readonly announcedMs: number
  /** After the master fell silent, or below the backup. */
  readonly silent: SpanMs
  readonly preemptDelayMs: number
}

/** Takeover of one instance by the server that wins when its first server has failed; undefined where none does. */
function takeoverOf(cluster: Cluster, instance: Instance, kind: FailureKind): Takeover | undefined {
  const home = homeOf(cluster, instance)
  if (home === undefined) return undefined
  const next = electionOf(cluster, instance, [home], home, kind).owner
  if (next === undefined || next === home) return undefined
  const priority = effectivePriorityOf(cluster, instance, next, true)
  return {
    announcedMs: skewMs(instance.advertIntMs, priority, instance.version),
    silent: silentTakeoverMs(instance.advertIntMs, priority, instance.version),
    preemptDelayMs: instance.preemptDelayMs,
  }
}

interface Found {
  readonly expectedMs: number
  readonly worstMs: number
  readonly how: string
}

function seconds(ms: number): string {
  return ms < 100 ? `${Math.ceil(ms)} ms` : `${Math.round(ms / 10) / 100} s`
}

/** The check detects the failure, then the election runs. With a weight the backups wait for their timer; with FAULT the master resigns. */
function checked(detection: SpanMs, takeover: Takeover, kind: FailureKind): Found {
  const found = `found by the check in ${seconds(detection.bestMs)} to ${seconds(detection.worstMs)}`
  if (kind === 'fault') {
    const bestMs = detection.bestMs + takeover.announcedMs
    const worstMs = detection.worstMs + takeover.announcedMs
    return {
      expectedMs: (bestMs + worstMs) / 2,
      worstMs: worstMs + ARRIVAL_MS,
      how: `${found}, then FAULT and ${seconds(takeover.announcedMs)} of skew`,
    }
  }
  const bestMs = detection.bestMs + takeover.silent.bestMs + takeover.preemptDelayMs
  const worstMs = detection.worstMs + takeover.silent.worstMs + takeover.preemptDelayMs
  const delay = takeover.preemptDelayMs > 0 ? `, and ${seconds(takeover.preemptDelayMs)} of preempt_delay` : ''
  return {
    expectedMs: (bestMs + worstMs) / 2,
    worstMs: worstMs + ARRIVAL_MS,
    how: `${found}, then ${seconds(takeover.silent.bestMs)} to ${seconds(takeover.silent.worstMs)} until the backup stops waiting${delay}`,
  }
}

function classicBound(cluster: Cluster, instance: Instance, event: OutageEvent): Found | string {
  const kind = stopFailureKind(cluster)
  const takeover = takeoverOf(cluster, instance, kind)
  const whole = takeoverOf(cluster, instance, 'fault')
  // pidof takes a few ms. keepalived stops a run at the timeout, but nothing in this script can hang.
  const detection = detectionMs(cluster.check, 20)
  switch (event) {
    case 'haproxy-stop':
      return takeover === undefined ? 'a failed check on the master moves the address to nobody' : checked(detection, takeover, kind)
    case 'haproxy-kill': {
      if (takeover === undefined) return 'systemd starts haproxy again; where it cannot, nobody takes over'
      const stays = checked(detection, takeover, kind)
      return {
        expectedMs: RESTART_MS,
        worstMs: stays.worstMs,
        how: `systemd starts haproxy again before the check sees it; where it cannot: ${stays.how}`,
      }
    }
    case 'haproxy-hang':
      return 'the check looks for a process, and a hung haproxy is still one'
    case 'keepalived-stop':
      if (whole === undefined) return 'there is no server that could take over'
      return {
        expectedMs: whole.announcedMs,
        worstMs: whole.announcedMs + ARRIVAL_MS + BUSY_MS,
        how: `keepalived sends priority 0; the backup waits its skew of ${seconds(whole.announcedMs)}`,
      }
    case 'server-dead':
      if (whole === undefined) return 'there is no server that could take over'
      return silent(whole)
  }
}

function silent(takeover: Takeover): Found {
  const { bestMs, worstMs } = takeover.silent
  return {
    expectedMs: (bestMs + worstMs) / 2,
    worstMs: worstMs + ARRIVAL_MS,
    how: `the backup waits for adverts: ${seconds(bestMs)} to ${seconds(worstMs)}`,
  }
}

function fastBound(cluster: Cluster, instance: Instance, event: OutageEvent): Found | string {
  const takeover = takeoverOf(cluster, instance, 'fault')
  if (takeover === undefined) return 'there is no server that could take over'
  const announced = takeover.announcedMs
  // One value is written for all instances of a server: where one instance cannot be handed over, none is.
  const breaksFirst = handOverOffset(cluster) === -254
  switch (event) {
    case 'haproxy-stop':
    case 'keepalived-stop': {
      const worstMs = announced + ARRIVAL_MS + BUSY_MS
      if (breaksFirst)
        return { expectedMs: announced, worstMs, how: `gives the address up, the backup waits its skew of ${seconds(announced)}` }
      const limit = seconds(handOverLimitMs(cluster))
      return {
        expectedMs: 0,
        worstMs,
        how: `hands over before it stops; stops anyway after ${limit}`,
      }
    }
    case 'haproxy-kill':
      return {
        expectedMs: announced + ARRIVAL_MS,
        worstMs: announced + ARRIVAL_MS + BUSY_MS,
        how: `told by systemd, keepalived gives the address up; skew ${seconds(announced)}`,
      }
    case 'haproxy-hang': {
      const hang = takeoverOf(cluster, instance, checkFailureKind(cluster))
      if (hang === undefined) return 'a failed check on the master moves the address to nobody'
      const { interval, fall } = cluster.check
      // The longest silence of the check: from its last question in one run to its first in the next, and that one's limit.
      const { spacingMs, limitMs } = checkPace(cluster.check)
      const gapMs = Math.max(spacingMs, interval * 1000 - (CHECK_ASKS - 1) * spacingMs) + ASK_START_MS
      const again = (fall - 1) * interval * 1000
      const detection = { bestMs: again + limitMs, worstMs: again + gapMs + limitMs }
      const found = checked(detection, hang, checkFailureKind(cluster))
      return { ...found, worstMs: found.worstMs + BUSY_MS }
    }
    case 'server-dead': {
      const dead = silent(takeover)
      return { ...dead, worstMs: dead.worstMs + BUSY_MS }
    }
  }
}

const EVENTS: readonly OutageEvent[] = ['haproxy-stop', 'haproxy-kill', 'haproxy-hang', 'keepalived-stop', 'server-dead']

/**
 * Bounds in ms for each event on the master, the worst of all instances. worstMs undefined: no server ever takes over.
 * classic: evidence V1. fast: the figures of docs/failover-figures.md are below these bounds.
 */
export function worstCaseOutage(cluster: Cluster): readonly OutageBound[] {
  return EVENTS.map(event => {
    const bounds = cluster.instances.map(i => (cluster.profile === 'fast' ? fastBound(cluster, i, event) : classicBound(cluster, i, event)))
    const never = bounds.find(b => typeof b === 'string')
    const openConnections = fateWords(fateOf(cluster, event, never === undefined))
    if (never !== undefined) return { event, expectedMs: undefined, worstMs: undefined, how: never, openConnections }
    const found = bounds.filter(b => typeof b !== 'string')
    const worst = found.reduce((a, b) => (b.worstMs > a.worstMs ? b : a))
    const expectedMs = Math.round(Math.max(...found.map(b => b.expectedMs)))
    return { event, expectedMs, worstMs: Math.ceil(worst.worstMs), how: worst.how, openConnections }
  })
}
