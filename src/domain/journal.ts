import type { JournalSubject } from '../state/drill.ts'

/**
 * What keepalived logs, what systemd (process 1) logs about either service, and what haproxy logs except its requests. Requests go to
 * syslog at level info (6), hundreds a second. They would push everything else out, and they are private. Matches of one field are
 * alternatives, those of several fields must all apply, and + starts another group (journalctl(1)).
 */
const MATCHES = [
  ['_SYSTEMD_UNIT=keepalived.service'],
  ['_PID=1', 'UNIT=keepalived.service', 'UNIT=haproxy.service'],
  ['_SYSTEMD_UNIT=haproxy.service', '_TRANSPORT=stdout'],
  ['_SYSTEMD_UNIT=haproxy.service', ...[0, 1, 2, 3, 4, 5].map(level => `PRIORITY=${level}`)],
]

/** The journal lines of keepalived and haproxy, and of systemd about them. */
export const SERVICE_JOURNAL: JournalSubject = {
  matches: MATCHES.flatMap((group, index) => (index === 0 ? group : ['+', ...group])),
  // What keepalived logs whenever hactl asks for its state.
  ownLooks: /^Printing (VRRP as json|VRRP data|parent data) for process\(\d+\) on signal$/,
}
