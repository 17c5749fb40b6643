import type { JournalSubject } from '../state/drill.ts'

/**
 * What keepalived logs, what systemd (process 1) logs about either, and what haproxy logs except its requests: those go to syslog at level
 * info (6), hundreds a second, would push everything else out of the window, and are nobody else's business. Matches of one field are
 * alternatives, those of several must all hold, and + begins another group (journalctl(1)).
 */
const MATCHES = [
  ['_SYSTEMD_UNIT=keepalived.service'],
  ['_PID=1', 'UNIT=keepalived.service', 'UNIT=haproxy.service'],
  ['_SYSTEMD_UNIT=haproxy.service', '_TRANSPORT=stdout'],
  ['_SYSTEMD_UNIT=haproxy.service', ...[0, 1, 2, 3, 4, 5].map(level => `PRIORITY=${level}`)],
]

/** What keepalived and haproxy say of themselves in the journal, and systemd of them. */
export const SERVICE_JOURNAL: JournalSubject = {
  matches: MATCHES.flatMap((group, index) => (index === 0 ? group : ['+', ...group])),
  // What keepalived logs whenever hactl asks it how it stands.
  ownLooks: /^Printing (VRRP as json|VRRP data|parent data) for process\(\d+\) on signal$/,
}
