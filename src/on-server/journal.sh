# Prints what services logged, and systemd about them. MATCH... select the lines, as for journalctl(1).

# recent_journal SECONDS LINES MATCH...: prints JSON, after readings of the wall clock: "clock UPTIME_S UPTIME_S DATE", with the uptimes before
# and after the clock was read.
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

# last_words LINES MATCH...: leaves out what keepalived logs whenever hactl asks for its state.
last_words() {
  lines=$1
  shift
  journalctl -q -n "$lines" -o cat "$@" 2>/dev/null | grep -v '^Printing .* on signal$'
}
