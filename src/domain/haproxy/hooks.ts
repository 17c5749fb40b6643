/** haproxy.service's drop-in of the fast profile: it tells keepalived about every start, stop and crash, and starts the unit that hands over before a stop. */
import { handOverUnitOf, stopLimit } from '../hand-over-unit.ts'
import { PROGRAM_DIR } from '../../state/places.ts'
import { GENERATED_LINE, SERVICE_HOOKS } from '../paths.ts'

/** The wait before a haproxy that crashed again before it was stable is started once more, in seconds (evidence T11, decision 13). */
export const CRASH_PAUSE_SECONDS = 1

/** How long haproxy must run after a crash before its server may take the addresses back, in seconds (evidence T11, decision 13). */
export const CRASH_DAMPING_SECONDS = 5

/** The timer, and its service, that give the priority back after a crash. */
export const DAMPING_UNIT = 'haproxy-hactl-damping'

/**
 * After= makes haproxy stop before keepalived at a shutdown; keepalived starting first is right only because haproxy_down begins with 1
 * (evidence T3, T12). RequiresMountsFor=: a /usr/local of its own may come after haproxy at boot (nofail, _netdev), and the hooks would fail
 * without a word (evidence T16). systemd counts from the moment at which haproxy says that it stops. `stopLimitSeconds`: undefined leaves it to
 * systemd.
 */
export function renderHaproxyDropin(stopLimitSeconds: number | undefined): string {
  return `${GENERATED_LINE}
[Unit]
# At a shutdown haproxy stops first, while keepalived can still hand the addresses over.
After=keepalived.service ${handOverUnitOf('keepalived')}
# It hands the addresses over before a stop, also before one that comes in the middle of a reload.
Wants=${handOverUnitOf('haproxy')}
# The hooks below are there.
RequiresMountsFor=${PROGRAM_DIR}
# After crashes in a row systemd starts haproxy all the same: no operator is there at night to reset the count.
StartLimitIntervalSec=0

[Service]
# The hooks tell keepalived, by its track files, that haproxy runs, has stopped or has crashed.
# "-": a hook that fails keeps haproxy neither from starting nor from stopping.
ExecStartPost=-${SERVICE_HOOKS} haproxy-started
# A restart in the middle of a stop waits for the hand-over, too.
ExecStop=-${SERVICE_HOOKS} haproxy-waiting
ExecStopPost=-${SERVICE_HOOKS} haproxy-stopped
${stopLimit(stopLimitSeconds)}`
}
