/**
 * VRRP's timers in ms. keepalived: include/vrrp.h (VRRP_TIMER_SKEW, VRRP_MS_DOWN_TIMER), vrrp_scheduler.c; RFC 5798 section 6.1.
 * Evidence V1: confirmed on keepalived 2.2.7.
 */
import type { CheckScript } from '../cluster-types.ts'

/** keepalived's down_timer_adverts: this many adverts must be missed before a master counts as dead. */
const DOWN_TIMER_ADVERTS = 3

/** A span of time in ms, from the best case to the worst. */
export interface SpanMs {
  readonly bestMs: number
  readonly worstMs: number
}

/** How much longer a backup of this priority waits than one of priority 256, in ms. In VRRPv2 it does not depend on advert_int. */
export function skewMs(advertMs: number, priority: number, version: 2 | 3): number {
  return ((256 - priority) / 256) * (version === 3 ? advertMs : 1000)
}

/** How long a backup waits after the last advert before it takes over, in ms. */
export function masterDownMs(advertMs: number, priority: number, version: 2 | 3): number {
  return DOWN_TIMER_ADVERTS * advertMs + skewMs(advertMs, priority, version)
}

/** From the moment when a master falls silent (or below a backup) to the takeover: its last advert may be up to advert_int old. */
export function silentTakeoverMs(advertMs: number, priority: number, version: 2 | 3): SpanMs {
  const worstMs = masterDownMs(advertMs, priority, version)
  return { bestMs: worstMs - advertMs, worstMs }
}

/** From a failure until keepalived knows it by its check script, which takes `runtimeMs` to answer. */
export function detectionMs(check: CheckScript, runtimeMs: number): SpanMs {
  return { bestMs: (check.fall - 1) * check.interval * 1000 + runtimeMs, worstMs: check.fall * check.interval * 1000 + runtimeMs }
}

/** How long a recovered haproxy waits until keepalived trusts it again, in ms. */
export function recoveryMs(check: CheckScript, runtimeMs: number): number {
  return check.rise * check.interval * 1000 + runtimeMs
}
