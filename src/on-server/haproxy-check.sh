#!/bin/sh
# Asks HAProxy whether it works: exit 0 when it answers, 1 when it does not.
# usage: haproxy-service-check.sh [once [SECONDS]]    (keepalived's way is ASKS questions within END_SECONDS; nobody hurries who asks once)
# given: MASTER_SOCKET PROGRAM TRACK_DIR ASKS END_SECONDS SPACING_SECONDS WAITS WAIT_SECONDS

# Ignores keepalived's SIGTERM (evidence K15) until there is an answer to it. This comes first, because on a busy server every line takes time.
trap "" TERM

# The time is over. PROGRAM is still at work, or has not even started: on a server short of CPU that takes seconds, and this shell a tenth of it
# (evidence K18). So the shell repeats the verdict of the run before, as PROGRAM does where its time is up. "once" has none.
late() {
  kill "$asking" 2>/dev/null
  read -r down 2>/dev/null <"$TRACK_DIR/haproxy_down"
  [ "$ASKS" -gt 1 ] && [ "$down" != 1 ] && [ ! -e "$TRACK_DIR/.check_failed" ] && exit 0
  exit 1
}
asking='' down=''

if [ "${1-}" = once ]; then ASKS=1 END_SECONDS=${2-2} WAITS=$((WAITS * 3)); fi

if [ ! -S "$MASTER_SOCKET" ] || [ ! -r "$PROGRAM" ]; then
  for path in "$MASTER_SOCKET" "$PROGRAM"; do [ -e "$path" ] || echo "$path is not there: looking for a haproxy process only" >&2; done
  pidof haproxy >/dev/null
  exit
fi

trap late TERM
perl "$PROGRAM" "$ASKS" "$END_SECONDS" "$SPACING_SECONDS" "$WAITS" "$WAIT_SECONDS" "$$" "$PPID" &
asking=$!
wait "$asking"
