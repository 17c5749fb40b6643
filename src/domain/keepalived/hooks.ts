/** keepalived.service's drop-in of the fast profile, and the folder of the track files. */
import { handOverUnitOf } from '../hand-over-unit.ts'
import { PROGRAM_DIR } from '../../state/places.ts'
import { CHECK_SCRIPT, GENERATED_LINE, TRACK_DIR, SERVICE_HOOKS } from '../paths.ts'
import { TRACKER_FILES } from '../trackers.ts'

/**
 * The unit of the package has no Restart=: a killed keepalived would leave the server without redundancy for good, or two servers
 * with one address (evidence K10). Restart=always, because a SIGTERM from outside systemd counts as a clean exit. There is no start
 * limit, because nobody is there at night to reset it. RequiresMountsFor=: a keepalived that starts before a /usr/local of its own is mounted
 * would leave the check out, and hold the address without it (evidence K5).
 */
export function renderKeepalivedDropin(): string {
  return `${GENERATED_LINE}
[Unit]
# After crashes in a row systemd starts keepalived all the same: no operator is there at night to reset the count.
StartLimitIntervalSec=0
# It hands the addresses over before a stop, also before one that comes in the middle of a reload.
Wants=${handOverUnitOf('keepalived')}
# The hooks below and the check of haproxy are there.
RequiresMountsFor=${PROGRAM_DIR} ${CHECK_SCRIPT}

[Service]
# Without keepalived the server could not take over, and one that was killed may have left its addresses behind.
Restart=always
RestartSec=1
# The hooks set keepalived's track files before a start. After a stop they remove addresses that are left.
# "-": a hook that fails keeps keepalived neither from starting nor from stopping.
ExecStartPre=-${SERVICE_HOOKS} keepalived-starting
ExecStopPost=-${SERVICE_HOOKS} keepalived-stopped
`
}

/**
 * /run is empty after a boot, and keepalived drops trackers whose folder is missing (evidence T4). haproxy counts as down until it has
 * started. "f!" is done at a boot only, and never to a file that exists (tmpfiles.d(5)). keepalived.service makes the other files.
 */
export function renderTmpfilesConf(): string {
  return `${GENERATED_LINE}\nd ${TRACK_DIR} 0755 root root -\nf! ${TRACKER_FILES.haproxy_down} 0644 root root - 1\n`
}
