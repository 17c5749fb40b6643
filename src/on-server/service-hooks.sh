#!/bin/sh
# What the drop-ins of haproxy.service and keepalived.service run around each start and stop (systemctl cat haproxy keepalived). They tell
# keepalived by its track files how haproxy stands, and hand the addresses over before a planned stop.
# usage: service-hooks.sh haproxy-started|haproxy-stable|haproxy-stopping|haproxy-stopped|keepalived-starting|keepalived-stopping|keepalived-stopped
# needs: trackers.sh hand-over.sh
# given: HAND_OVER_OFFSET HAND_OVER_HUNDREDTHS TAKEN_HUNDREDTHS DAMPING_SECONDS CRASH_PAUSE_SECONDS

# Left by a crash, so that the next start knows of it.
crashed="$TRACK_DIR/.haproxy_crashed"
# Gives the priority back when haproxy has been stable.
damping=haproxy-hactl-damping

# hand_over TRACKER: lowers this server's priority, then waits until a backup has taken the addresses, and goes on answering for a moment: long
# enough for the new holder to have announced itself, short enough for its second announcement (garp_master_delay 1) to come after.
hand_over() {
  answer
  write_tracker "$1" "$HAND_OVER_OFFSET"
  wait_until_gone "$HAND_OVER_HUNDREDTHS"
  if holds; then
    echo 'no other server took the address over: stopping all the same' >&2
  else
    sleep "$GRACE_SECONDS"
  fi
  close_connections
  stop_answering
}

# After a crash the offset stays for a while: without that, 8 crashes 1.2 s apart moved the addresses 11 times (evidence T11).
haproxy_started() {
  write_tracker haproxy_down 0
  if [ -e "$crashed" ]; then
    rm -f "$crashed"
    systemd-run --quiet --collect --unit=$damping --on-active="$DAMPING_SECONDS" --timer-property=AccuracySec=100ms "$0" haproxy-stable &&
      return
  fi
  haproxy_stable
}

haproxy_stable() { write_tracker haproxy_offset 0; }

# systemd runs this before it signals haproxy; MAINPID is unset where haproxy has ended by itself, then there is nothing to hand over.
haproxy_stopping() {
  kill -0 "$MAINPID" 2>/dev/null && systemctl --quiet is-active keepalived.service && holds || return
  hand_over haproxy_offset
}

# systemd's own damping, five starts in ten seconds and never again, would take the server out for good: a pause takes its place.
haproxy_stopped() {
  write_tracker haproxy_down 1
  # A hand-over that was itself killed: a server that keeps a route answers for the next holder.
  stop_answering
  systemctl --quiet stop $damping.timer 2>/dev/null
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

keepalived_stopping() {
  kill -0 "$MAINPID" 2>/dev/null && holds || return
  hand_over keepalived_offset
}

# In whatever way keepalived has ended: an address that it left behind goes once a backup has had the time to take it, not before, because
# until then this server's haproxy still answers on it (evidence K10).
keepalived_stopped() {
  stop_answering
  wait_until_gone "$TAKEN_HUNDREDTHS"
  for address in $ADDRESSES; do
    ip -o addr show to "$address" | while read -r _ dev _ cidr _; do ip addr del "$cidr" dev "${dev%%@*}"; done
  done
  close_connections
}

case $1 in
  haproxy-started) haproxy_started ;;
  haproxy-stable) haproxy_stable ;;
  haproxy-stopping) haproxy_stopping ;;
  haproxy-stopped) haproxy_stopped ;;
  keepalived-starting) keepalived_starting ;;
  keepalived-stopping) keepalived_stopping ;;
  keepalived-stopped) keepalived_stopped ;;
  *)
    sed -n 's/^# usage: //p' "$0" >&2
    exit 2
    ;;
esac
# systemd ignores how a hook ends: none keeps its service from starting or stopping (evidence T9).
exit 0
