#!/bin/sh
# The drop-ins of haproxy.service and keepalived.service, and hactl-hand-over@.service for each of them, run this around each start and stop
# (systemctl cat haproxy keepalived hactl-hand-over@haproxy). It tells keepalived the state of haproxy through track files, and hands the
# addresses over before a planned stop.
# Evidence and decisions that comments name are in docs/ of hactl's repository.
# usage: service-hooks.sh haproxy-started|haproxy-stable|haproxy-runs|haproxy-stopping|haproxy-waiting|haproxy-stopped|keepalived-starting|keepalived-runs|keepalived-stopping|keepalived-stopped
# needs: trackers.sh hand-over.sh soft-stop.sh
# given: KEEPS_OPEN OPEN_CONNECTIONS_SERVICE HAND_OVER_OFFSET HAND_OVER_HUNDREDTHS TAKEN_HUNDREDTHS DAMPING_SECONDS DAMPING_UNIT CRASH_PAUSE_SECONDS

# A failed check of a haproxy or a keepalived that has ended says nothing any more. A mark that stays for long means a haproxy that hangs.
forget_failed_check() { rm -f "$TRACK_DIR/.check_failed"; }

# A crash leaves this file, so that the next start knows of it.
crashed="$TRACK_DIR/.haproxy_crashed"

# hand_over TRACKER: lowers this server's priority, waits until a backup has taken the addresses over, and goes on answering for a moment. That
# moment is long enough for the new holder's first announcement, and ends before its second one (garp_master_delay 1). Where open connections are
# kept, hactl-open-connections.service answers for the addresses that have left, and open connections stay.
hand_over() {
  keeps_open || answer
  write_tracker "$1" "$HAND_OVER_OFFSET"
  wait_until_gone "$HAND_OVER_HUNDREDTHS"
  if holds; then
    echo 'an address is still here, because no other server took it over: stopping anyway' >&2
  else
    sleep "$GRACE_SECONDS"
  fi
  keeps_open && return
  close_connections
  stop_answering
}

# After a crash the priority stays low until a timer gives it back, once haproxy has been stable for a while: without that, 8 crashes 1.2 s apart
# moved the addresses 11 times (evidence T11).
haproxy_started() {
  write_tracker haproxy_down 0
  forget_failed_check
  if [ -e "$crashed" ]; then
    rm -f "$crashed"
    systemd-run --quiet --collect --unit="$DAMPING_UNIT" --on-active="$DAMPING_SECONDS" --timer-property=AccuracySec=100ms "$0" haproxy-stable &&
      return
  fi
  haproxy_stable
}

haproxy_stable() { write_tracker haproxy_offset 0; }

# runs UNIT: whether it is active or reloading. systemd stops the hand-over also before it starts a service again that has ended by itself: then
# there is nothing to hand over.
runs() { systemctl --quiet is-active "$1.service"; }

# Whether something answers for addresses that have left. A service that is down does not, whatever the cluster wants. It is asked once, so that one
# stop does not do half of each.
keeps=
keeps_open() {
  if [ -z "$keeps" ]; then
    keeps=no
    [ "$KEEPS_OPEN" = yes ] && runs "${OPEN_CONNECTIONS_SERVICE%.service}" && keeps=yes
  fi
  [ "$keeps" = yes ]
}

# The unit that hands over starts after haproxy. Where a start of haproxy takes the place of its stop, haproxy runs on, and its own hook does not
# run: without this the priority would stay low.
haproxy_runs() { ! runs haproxy || systemctl --quiet is-active "$DAMPING_UNIT.timer" || haproxy_stable; }

# Whether haproxy works although systemd has started to stop it: a restart that has taken the place of a stop does not wait for the hand-over, and
# haproxy's own ExecStop= does (evidence T19).
waits_to_stop() { [ "$(systemctl show -p SubState --value haproxy.service)" = stop ]; }

# systemd waits for this before it stops haproxy. The timer of an earlier crash must not raise the priority meanwhile.
haproxy_stopping() {
  runs haproxy || waits_to_stop || return
  systemctl --quiet stop "$DAMPING_UNIT.timer" 2>/dev/null
  ! runs keepalived || ! holds || hand_over haproxy_offset
  ! keeps_open || soft_stop
}

# goes_on UNIT: a reload or a start of UNIT that came meanwhile has taken the place of its stop, and UNIT runs on (evidence T19). Started again, the
# unit that hands over gives the priority back, and hands over before the next stop.
goes_on() { stop_is_wanted "$1" || ! runs "$1" || systemctl --quiet --no-block start "hactl-hand-over@$1.service"; }

# systemd's own limit, no more starts after five in ten seconds, would take the server out for good. It is replaced by a pause before the next
# start.
haproxy_stopped() {
  write_tracker haproxy_down 1
  # A hand-over that was killed may have left its routes. A server with such a route would answer in place of the next holder.
  stop_answering
  systemctl --quiet stop "$DAMPING_UNIT.timer" 2>/dev/null
  if [ "$SERVICE_RESULT" = success ]; then
    rm -f "$crashed"
    haproxy_stable
    return
  fi
  : >"$crashed"
  offset=$(cat "$TRACK_DIR/haproxy_offset" 2>/dev/null)
  write_tracker haproxy_offset -253
  [ "$offset" != -253 ] || sleep "$CRASH_PAUSE_SECONDS"
}

keepalived_starting() {
  make_missing_trackers
  write_tracker keepalived_offset 0
}

# As haproxy_runs.
keepalived_runs() { ! runs keepalived || write_tracker keepalived_offset 0; }

keepalived_stopping() {
  runs keepalived && holds || return
  hand_over keepalived_offset
}

# For every way in which keepalived can end. An address that it left behind is removed once a backup has had the time to take it over, and not
# before, because until then this server's haproxy still answers on it (evidence K10).
keepalived_stopped() {
  forget_failed_check
  stop_answering
  wait_until_gone "$TAKEN_HUNDREDTHS"
  for address in $ADDRESSES; do
    ip -o addr show to "$address" | while read -r _ dev _ cidr _; do
      [ "$dev" = lo ] || ip addr del "$cidr" dev "${dev%%@*}"
    done
  done
  keeps_open || close_connections
}

case $1 in
  haproxy-started) haproxy_started ;;
  haproxy-stable) haproxy_stable ;;
  haproxy-runs) haproxy_runs ;;
  haproxy-stopping)
    haproxy_stopping
    goes_on haproxy
    ;;
  haproxy-waiting) wait_for_hand_over ;;
  haproxy-stopped) haproxy_stopped ;;
  keepalived-starting) keepalived_starting ;;
  keepalived-runs) keepalived_runs ;;
  keepalived-stopping)
    keepalived_stopping
    goes_on keepalived
    ;;
  keepalived-stopped) keepalived_stopped ;;
  *)
    sed -n 's/^# usage: //p' "$0" >&2
    exit 2
    ;;
esac
# systemd ignores the status of these hooks: none of them can keep its service from starting or stopping (evidence T9).
exit 0
