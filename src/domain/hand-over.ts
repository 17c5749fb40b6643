/** Make before break, as shell: lower this server's priority, then wait until a backup has taken the addresses. */
import type { Cluster } from './cluster-types.ts'
import type { Tracker } from './trackers.ts'
import { handOverOffset, writeTrackerShell } from './trackers.ts'
import { masterDownMs } from './vrrp/timing.ts'

/** Between two looks at the addresses. */
const POLL_MS = 20

/** After the addresses have left: neighbours learn the new MAC, answers on their way go out. */
export const HAND_OVER_GRACE_MS = 100

/**
 * The longest that a hand-over may take, in ms: one advert_int until the low priority is sent, the dead-master time of the slowest
 * backup after that, and a tenth of a second for busy servers. Where nobody takes over, a stop is delayed by this much and no more.
 */
export function handOverLimitMs(cluster: Cluster): number {
  const each = cluster.instances.map(i => i.advertIntMs + masterDownMs(i.advertIntMs, 1, i.version) + 100)
  return Math.ceil(Math.max(0, ...each))
}

/**
 * Lines for shellArgument. Ends at once where this server holds none of the addresses. `guard` is a shell condition that must hold too.
 * Only addresses that were parsed as such stand in it.
 */
export function handOverShell(cluster: Cluster, tracker: Tracker, guard: string): readonly string[] {
  const addresses = cluster.instances.flatMap(i => i.virtualAddresses.map(v => v.address))
  const patterns = addresses.map(a => `*' ${a}/'*`).join('|')
  const polls = Math.ceil(handOverLimitMs(cluster) / POLL_MS)
  return [
    `holds() { case "$(ip -o addr show)" in ${patterns}) return 0;; esac; return 1; };`,
    `${guard} && holds || exit 0;`,
    `${writeTrackerShell(tracker, handOverOffset(cluster))};`,
    `n=0; while holds && [ $n -lt ${polls} ]; do sleep ${POLL_MS / 1000}; n=$((n+1)); done;`,
    `if holds; then echo 'no other server took the address over: stopping all the same' >&2; else sleep ${HAND_OVER_GRACE_MS / 1000}; fi`,
  ]
}
