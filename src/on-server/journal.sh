# What services, and systemd about them, logged. MATCH... say which lines, as journalctl(1) takes them.

# recent_journal SECONDS LINES MATCH...: as JSON, after readings of the wall clock: "clock UPTIME_S UPTIME_S DATE", the uptimes from before and
# after it was asked.
recent_journal() {
  seconds=$1 lines=$2
  shift 2
  for _ in 1 2 3 4 5; do
    read -r before _ </proc/uptime
    now=$(date '+%s %N')
    read -r after _ </proc/uptime
    echo "clock $before $after $now"
  done
  journalctl --quiet --no-pager --all --output=json --output-fields=MESSAGE,SYSLOG_IDENTIFIER --lines="$lines" \
    --since="@$(($(date +%s) - seconds))" "$@"
}

# last_words LINES MATCH...: without what keepalived says whenever hactl asks how it stands.
last_words() {
  lines=$1
  shift
  journalctl -q -n "$lines" -o cat "$@" 2>/dev/null | grep -v '^Printing .* on signal$'
}
