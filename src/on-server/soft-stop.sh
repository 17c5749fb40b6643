# Ends haproxy without ending the connections that clients still have open here to an address that has left.
# needs: hand-over.sh
# given: ADDRESSES STOP_HUNDREDTHS STOP_LIMIT_HUNDREDTHS STOP_POLL_HUNDREDTHS STOP_PORTS OPEN_CONNECTIONS_PROGRAM ASK_SECONDS

# What find_left has found.
left=

# Whether a client has a connection open to an address that has left, at a port of haproxy's: an SSH session may stay for days. STOP_PORTS is empty
# where the ports are not known. A worker of before a reload may have it. Connections to an address that no other server has taken over do not count:
# nobody would send their packets here.
has_open() {
  for address in $left; do
    case $address in *:*) source="[$address]" ;; *) source=$address ;; esac
    ss -H -t -n state established state close-wait src "$source" ${STOP_PORTS:+"$STOP_PORTS"} 2>/dev/null | grep -q . && return 0
  done
  return 1
}

# Whether a peer sends packets of these connections here. No answer is no reason to cut them.
is_reached() {
  case $(timeout "$ASK_SECONDS" "$OPEN_CONNECTIONS_PROGRAM" status 2>/dev/null) in '' | *' yes'*) ;; *) return 1 ;; esac
}

# stop_is_wanted UNIT: whether systemd is still to stop or restart UNIT. Whoever stops only the unit that hands over, or has started or reloaded UNIT
# meanwhile, keeps it.
stop_is_wanted() {
  jobs=$(systemctl list-jobs --no-legend --full "$1.service" 2>/dev/null) || return 0
  case $jobs in *' stop '* | *' restart '*) ;; *) return 1 ;; esac
}

serves() { kill -0 "$master" 2>/dev/null && has_open; }

# haproxy takes no new connections from here on. What is open when the time is over is ended by a SIGTERM to the workers, because a master of
# HAProxy 3.0 that is waiting for its workers does not hand on the one that systemd sends it (evidence H11). Where one of several addresses stays,
# this server is the only one that answers there: haproxy serves it for as long as this waits, and systemd ends it after that.
soft_stop() {
  stays=no
  ! holds || stays=yes
  find_left
  [ "$STOP_HUNDREDTHS" -gt 0 ] && stop_is_wanted haproxy && has_open && is_reached || return 0
  master=$(systemctl show -p MainPID --value haproxy.service)
  [ "${master:-0}" -gt 0 ] || return 0
  [ "$stays" = yes ] || kill -USR1 "$master" 2>/dev/null || return 0
  wait_while "$STOP_HUNDREDTHS" "$STOP_POLL_HUNDREDTHS" serves
  [ "$stays" = no ] || return 0
  workers=$(cat "/proc/$master/task/"*/children 2>/dev/null)
  # shellcheck disable=SC2086 # A list of process ids.
  [ -z "$workers" ] || kill -TERM $workers 2>/dev/null
}

hands_over() { [ "$(systemctl is-active hactl-hand-over@haproxy.service)" = deactivating ]; }

# A restart that has taken the place of a stop does not wait for the hand-over of that stop (evidence T19): haproxy's own stop does.
wait_for_hand_over() { wait_while "$STOP_LIMIT_HUNDREDTHS" "$STOP_POLL_HUNDREDTHS" hands_over; }
