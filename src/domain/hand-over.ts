/** Make before break, as shell: lower this server's priority, then wait until a backup has taken the addresses. */
import type { Cluster } from './cluster-types.ts'
import type { Tracker } from './trackers.ts'
import { handOverOffset, writeTrackerShell } from './trackers.ts'
import { masterDownMs } from './vrrp/timing.ts'

/** Between two looks at the addresses. */
const POLL_MS = 20

/**
 * How long the old holder goes on answering after an address has left it: long enough for the new holder to have announced itself, short
 * enough for its second announcement (garp_master_delay 1) to come after.
 */
const HAND_OVER_GRACE_MS = 300

/**
 * The longest that a hand-over may take, in ms: one advert_int until the low priority is sent, the dead-master time of the slowest
 * backup after that, and a tenth of a second for busy servers. Where nobody takes over, a stop is delayed by this much and no more.
 */
export function handOverLimitMs(cluster: Cluster): number {
  const each = cluster.instances.map(i => i.advertIntMs + masterDownMs(i.advertIntMs, 1, i.version) + 100)
  return Math.ceil(Math.max(0, ...each))
}

/** Shell function: does this server hold one of the addresses? Only addresses that were parsed as such stand in it. */
function holdsShell(cluster: Cluster): string {
  const patterns = addressesOf(cluster)
    .map(a => `*' ${a}/'*`)
    .join('|')
  return `holds() { case "$(ip -o addr show)" in ${patterns}) return 0;; esac; return 1; };`
}

function addressesOf(cluster: Cluster): readonly string[] {
  return cluster.instances.flatMap(i => i.virtualAddresses.map(v => v.address))
}

/**
 * Shell: look until the address has left, `limitMs` at the most. By the clock, because on a busy server each look takes longer; by
 * the uptime, in hundredths of a second, because that clock is never set.
 */
function waitShell(limitMs: number): string {
  return [
    'now() { read -r t rest < /proc/uptime; t=${t%.*}${t#*.}; };',
    `now; end=$((t+${Math.ceil(limitMs / 10)})); while holds && [ "$t" -lt "$end" ]; do sleep ${POLL_MS / 1000}; now; done;`,
  ].join(' ')
}

/**
 * Shell: local routes by which a server answers on addresses that it no longer has. keepalived sends its first advert 0.2 ms to 70 ms
 * before it has the address and announces it (evidence T7), and at that advert the old holder drops it: what arrives there in between
 * would be lost. Only addresses that were parsed as such stand in it.
 */
function routesShell(verb: 'replace' | 'del', addresses: readonly string[]): string {
  return addresses.map(a => `ip ${a.includes(':') ? '-6 ' : ''}route ${verb} local ${a} dev lo metric 9 table local`).join('; ')
}

/** Lines: routes for the addresses that are here. One that another server holds must not be answered for, as it would be by ARP, too. */
function answerShell(cluster: Cluster): readonly string[] {
  const each = addressesOf(cluster).map(a => `case "$here" in *' ${a}/'*) ${routesShell('replace', [a])};; esac;`)
  return ['here=$(ip -o addr show);', ...each]
}

/**
 * Shell: ends connections to addresses that are not here any more. What they carried has failed when the address left, but this server
 * would hold on to them for a quarter of an hour (tcp_retries2, tcp(7)); when the address comes back in that time, a client that uses the
 * port of one again gets no answer, not even a refusal (evidence T8). Where the kernel cannot end them (CONFIG_INET_DIAG_DESTROY, ss(8)) they stay.
 */
function closeShell(addresses: readonly string[]): string {
  const each = addresses.map(a => `*" ${a}/"*) ;; *) ss -K -H -t state connected src "${a.includes(':') ? `[${a}]` : a}"`)
  return each.map(test => `case "$(ip -o addr show)" in ${test} >/dev/null 2>&1;; esac`).join('; ')
}

/** Shell for ExecStopPost: the routes of a hand-over that was itself killed. A server that keeps one answers for the next holder. */
export function stopAnsweringShell(cluster: Cluster): string {
  return `{ ${routesShell('del', addressesOf(cluster))}; } 2>/dev/null`
}

/**
 * Lines for shellArgument. Ends at once where this server holds none of the addresses. `guard` is a shell condition that must hold too.
 */
export function handOverShell(cluster: Cluster, tracker: Tracker, guard: string): readonly string[] {
  return [
    holdsShell(cluster),
    `${guard} && holds || exit 0;`,
    ...answerShell(cluster),
    `${writeTrackerShell(tracker, handOverOffset(cluster))};`,
    waitShell(handOverLimitMs(cluster)),
    `if holds; then echo 'no other server took the address over: stopping all the same' >&2; else sleep ${HAND_OVER_GRACE_MS / 1000}; fi;`,
    `${closeShell(addressesOf(cluster))};`,
    stopAnsweringShell(cluster),
  ]
}

/**
 * Lines for shellArgument, after keepalived has ended in whatever way: an address that it left behind goes once a backup has had the
 * time to take it, not before, because until then this server's haproxy still answers on it (evidence K10).
 */
export function takeAwayShell(cluster: Cluster): readonly string[] {
  const takenMs = Math.max(0, ...cluster.instances.map(i => masterDownMs(i.advertIntMs, 1, i.version)))
  return [
    `${stopAnsweringShell(cluster)};`,
    holdsShell(cluster),
    waitShell(Math.ceil(takenMs)),
    `for a in ${addressesOf(cluster).join(' ')}; do`,
    'ip -o addr show to "$a" | while read -r n dev family cidr rest; do ip addr del "$cidr" dev "${dev%%@*}"; done;',
    'done;',
    closeShell(addressesOf(cluster)),
  ]
}

/** Not named like a drill's or an undo's unit. */
const KEEP_ANSWERING_UNIT = 'haproxy-hactl-keep-answering'

/**
 * Shell for the server that gives addresses away where no hook does it, to run before they move; where it fails, the move is what it was
 * without. A service of its own takes the routes away again, so that nothing is left when the controller is lost.
 */
export function keepAnsweringShell(addresses: readonly string[], limitMs: number): string {
  const routes = (verb: 'replace' | 'del') => routesShell(verb, addresses)
  const patterns = addresses.map(a => `*" ${a}/"*`).join('|')
  const until = [
    `n=0; while case "$(ip -o addr show)" in ${patterns}) [ $n -lt ${Math.ceil(limitMs / POLL_MS)} ];; *) false;; esac; do sleep ${POLL_MS / 1000}; n=$((n+1)); done`,
    `sleep ${HAND_OVER_GRACE_MS / 1000}; ${closeShell(addresses)}; ${routes('del')}`,
  ]
  return `${routes('replace')}; systemd-run --quiet --collect --unit=${KEEP_ANSWERING_UNIT} /bin/sh -c '${until.join('; ')}' || { ${routes('del')}; }; :`
}
