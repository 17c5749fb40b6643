/** Make before break: lower this server's priority, then wait until a backup has taken the addresses (src/on-server/hand-over.sh). */
import type { Script } from '../ports.ts'
import { programText } from '../shell/library.ts'
import { shWith, systemdWord } from '../shell/sh.ts'
import type { Cluster } from './cluster-types.ts'
import { CRASH_DAMPING_SECONDS, CRASH_PAUSE_SECONDS, DAMPING_UNIT } from './haproxy/hooks.ts'
import { clientSocketFilter } from './haproxy/client-sockets.ts'
import type { Mode } from './open-connections/mode.ts'
import { GENERATED_LINE, OPEN_CONNECTIONS_PROGRAM, OPEN_CONNECTIONS_SERVICE } from './paths.ts'
import { handOverOffset, TRACKER_VARIABLES } from './trackers.ts'
import { masterDownMs } from './vrrp/timing.ts'

/** The pause between two looks at the addresses, in hundredths of a second. */
const POLL_HUNDREDTHS = 2

/** How long the old holder continues to answer after an address has left it. */
export const GRACE_SECONDS = 0.3

const hundredths = (ms: number) => Math.ceil(ms / 10)

/**
 * The longest that a hand-over may take, in ms: one advert_int until the low priority is sent, then the dead-master time of the slowest
 * backup, and 100 ms for busy servers. Where no server takes over, a stop is delayed by this much and no more.
 */
export function handOverLimitMs(cluster: Cluster): number {
  const each = cluster.instances.map(i => i.advertIntMs + masterDownMs(i.advertIntMs, 1, i.version) + 100)
  return Math.ceil(Math.max(0, ...each))
}

function handOverVariables(addresses: readonly string[]) {
  return { ADDRESSES: addresses.join(' '), POLL_HUNDREDTHS, GRACE_SECONDS }
}

/** The pause between two looks at the connections that are open, while haproxy stops, in hundredths of a second. */
const STOP_POLL_HUNDREDTHS = 25

/** How long soft-stop.sh waits for an answer of the service that keeps open connections, in seconds. */
const ASK_SECONDS = 5

/** What a hand-over takes beside its waits, in ms: that question, and as much for systemctl, ss and the last looks of a busy server. */
const HOOK_MARGIN_MS = 2 * ASK_SECONDS * 1000

/** What systemd and a busy server need beside what hactl itself waits for, in seconds. */
const STOP_MARGIN_SECONDS = 30

/** How long systemd lets a stop of haproxy take before it kills what is left, in seconds; undefined where no stop waits for connections: systemd's own limit is enough. */
export function stopLimitSeconds(cluster: Cluster, mode: Mode['kind']): number | undefined {
  if (mode === 'reset') return undefined
  return Math.ceil((handOverLimitMs(cluster) + cluster.stopTimeoutMs) / 1000) + STOP_MARGIN_SECONDS
}

/** The program that both drop-ins and the unit that hands over call around each start and stop. `mode`: of this server. */
export function renderServiceHooks(cluster: Cluster, mode: Mode['kind']): string {
  const addresses = cluster.instances.flatMap(i => i.virtualAddresses.map(v => v.address))
  const takenMs = Math.max(0, ...cluster.instances.map(i => masterDownMs(i.advertIntMs, 1, i.version)))
  return programText('service-hooks.sh', `${GENERATED_LINE}\n`, {
    ...TRACKER_VARIABLES,
    ...handOverVariables(addresses),
    KEEPS_OPEN: mode === 'keep' ? 'yes' : 'no',
    STOP_HUNDREDTHS: hundredths(cluster.stopTimeoutMs),
    STOP_POLL_HUNDREDTHS,
    ASK_SECONDS,
    STOP_PORTS: clientSocketFilter(cluster),
    OPEN_CONNECTIONS_SERVICE,
    OPEN_CONNECTIONS_PROGRAM,
    HAND_OVER_OFFSET: handOverOffset(cluster),
    HAND_OVER_HUNDREDTHS: hundredths(handOverLimitMs(cluster)),
    STOP_LIMIT_HUNDREDTHS: hundredths(handOverLimitMs(cluster) + cluster.stopTimeoutMs + HOOK_MARGIN_MS),
    TAKEN_HUNDREDTHS: hundredths(takenMs),
    DAMPING_SECONDS: CRASH_DAMPING_SECONDS,
    DAMPING_UNIT,
    CRASH_PAUSE_SECONDS,
  })
}

/**
 * For the server that gives addresses away where no hook does it, to run before they move. Where it fails, the move goes on as without
 * it. It leaves nothing behind when the controller is lost.
 */
export function keepAnsweringScript(addresses: readonly string[], limitMs: number): Script {
  const call = shWith('keep-answering.sh', handOverVariables(addresses))
  return call`keep_answering ${systemdWord(call`answer_until_gone ${hundredths(limitMs)}`)}`
}
