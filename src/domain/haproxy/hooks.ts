/** haproxy.service's drop-in of the fast profile: tells keepalived of every start, stop and crash, and hands over before a planned stop. */
import type { Cluster } from '../cluster-types.ts'
import { handOverShell, stopAnsweringShell } from '../hand-over.ts'
import { GENERATED_LINE, RUN_DIR } from '../paths.ts'
import { hookLine } from '../systemd.ts'
import { TRACKER_FILES, writeTrackerShell } from '../trackers.ts'

/** A haproxy that crashes again before it was stable waits this long before it is started once more, in seconds. */
const CRASH_PAUSE_SECONDS = 1

/** How long haproxy has to run after a crash before its server may take the addresses back, in seconds. */
const CRASH_DAMPING_SECONDS = 5

/** Left by a crash, so that the next start knows of it. */
const CRASHED = `${RUN_DIR}/.haproxy_crashed`
/** Gives the priority back when haproxy has been stable. Not named like a drill's or an undo's unit. */
const DAMPING_UNIT = 'haproxy-hactl-damping'

/**
 * After= makes haproxy stop before keepalived at a shutdown; keepalived starting first is right only because haproxy_down begins with 1 (evidence T3, T12).
 * ExecStop runs before systemd signals haproxy; MAINPID is unset where haproxy has ended by itself, then there is nothing to hand over.
 * After a crash the offset stays for a while: without that, 8 crashes 1.2 s apart moved the addresses 11 times (evidence T11). systemd's own damping,
 * five starts in ten seconds and never again, would take the server out for good: a pause takes its place.
 */
export function renderHaproxyDropin(cluster: Cluster): string {
  const release = writeTrackerShell('haproxy_offset', 0)
  const started = [
    `${writeTrackerShell('haproxy_down', 0)};`,
    `if [ -e ${CRASHED} ]; then rm -f ${CRASHED};`,
    `systemd-run --quiet --collect --unit=${DAMPING_UNIT} --on-active=${CRASH_DAMPING_SECONDS} --timer-property=AccuracySec=100ms`,
    `/bin/sh -c 'echo 0 > ${RUN_DIR}/.damping && mv -f ${RUN_DIR}/.damping ${TRACKER_FILES.haproxy_offset}' && exit 0;`,
    `fi; ${release}`,
  ]
  const stopped = [
    `${writeTrackerShell('haproxy_down', 1)};`,
    `${stopAnsweringShell(cluster)};`,
    `systemctl --quiet stop ${DAMPING_UNIT}.timer 2>/dev/null;`,
    `if [ "$SERVICE_RESULT" = success ]; then rm -f ${CRASHED}; ${release};`,
    `else : > ${CRASHED}; again=$(cat ${TRACKER_FILES.haproxy_offset} 2>/dev/null); ${writeTrackerShell('haproxy_offset', -253)};`,
    `[ "$again" != -253 ] || sleep ${CRASH_PAUSE_SECONDS}; fi`,
  ]
  return [
    GENERATED_LINE,
    '[Unit]',
    'After=keepalived.service',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    hookLine('ExecStartPost', started),
    hookLine(
      'ExecStop',
      handOverShell(cluster, 'haproxy_offset', 'kill -0 "$MAINPID" 2>/dev/null && systemctl --quiet is-active keepalived.service'),
    ),
    hookLine('ExecStopPost', stopped),
    '',
  ].join('\n')
}
