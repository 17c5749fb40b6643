# What haproxy, keepalived and systemd about them logged.

# Which lines: what keepalived logs, what systemd (process 1) logs about either, and what haproxy logs except its requests: those go to syslog
# at level info (6), hundreds a second, would push everything else out of the window, and are nobody else's business. Matches of one field are
# alternatives, those of several must all hold, and + begins another group (journalctl(1)).
journal() {
  journalctl --quiet --no-pager "$@" _SYSTEMD_UNIT=keepalived.service + \
    _PID=1 UNIT=keepalived.service UNIT=haproxy.service + \
    _SYSTEMD_UNIT=haproxy.service _TRANSPORT=stdout + \
    _SYSTEMD_UNIT=haproxy.service PRIORITY=0 PRIORITY=1 PRIORITY=2 PRIORITY=3 PRIORITY=4 PRIORITY=5
}

# recent_journal SECONDS LINES: as JSON, after readings of the wall clock: "clock UPTIME_S UPTIME_S DATE", the uptimes from before and after it
# was asked.
recent_journal() {
  for _ in 1 2 3 4 5; do
    read -r before _ </proc/uptime
    now=$(date '+%s %N')
    read -r after _ </proc/uptime
    echo "clock $before $after $now"
  done
  journal --all --output=json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --lines="$2" --since="@$(($(date +%s) - $1))"
}

# last_words LINES: without what keepalived says whenever hactl asks how it stands.
last_words() { journal -n "$1" -o cat 2>/dev/null | grep -v '^Printing .* on signal$'; }
