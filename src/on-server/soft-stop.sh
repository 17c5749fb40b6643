# Ends haproxy without ending the connections that clients still have open here to an address that has left.
# needs: hand-over.sh
# given: ADDRESSES STOP_HUNDREDTHS STOP_POLL_SECONDS

# Whether a client has a connection open to one of the addresses. A worker of before a reload may have it.
has_open() {
  for address in $ADDRESSES; do
    case $address in *:*) source="[$address]" ;; *) source=$address ;; esac
    ss -H -t -n state established state close-wait src "$source" 2>/dev/null | grep -q . && return 0
  done
  return 1
}

serves() { kill -0 "$master" 2>/dev/null && has_open; }

# haproxy takes no new connections from here on. What is open when the time is over is ended by a SIGTERM to the workers, because a master of
# HAProxy 3.0 that is waiting for its workers does not hand on the one that systemd sends it (evidence H11).
soft_stop() {
  [ "$STOP_HUNDREDTHS" -gt 0 ] && has_open || return 0
  master=$(systemctl show -p MainPID --value haproxy.service)
  [ "${master:-0}" -gt 0 ] && kill -USR1 "$master" 2>/dev/null || return 0
  wait_while "$STOP_HUNDREDTHS" "$STOP_POLL_SECONDS" serves
  workers=$(cat "/proc/$master/task/"*/children 2>/dev/null)
  # shellcheck disable=SC2086 # A list of process ids.
  [ -z "$workers" ] || kill -TERM $workers 2>/dev/null
}
