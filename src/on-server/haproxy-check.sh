#!/bin/sh
# Asks HAProxy whether it works: exit 0 when it answers, 1 when it does not.
# usage: haproxy-service-check.sh [once [SECONDS]]    (keepalived's way is ASKS questions within END_SECONDS; nobody hurries who asks once)
# given: MASTER_SOCKET PROGRAM ASKS END_SECONDS SPACING_SECONDS WAITS WAIT_SECONDS

# Ignores keepalived's SIGTERM (evidence K15) until PROGRAM handles it. This comes first, because on a busy server every line takes time.
trap "" TERM
if [ "${1-}" = once ]; then ASKS=1 END_SECONDS=${2-2} WAITS=$((WAITS * 3)); fi

if [ ! -S "$MASTER_SOCKET" ] || [ ! -r "$PROGRAM" ]; then
  for path in "$MASTER_SOCKET" "$PROGRAM"; do [ -e "$path" ] || echo "$path is not there: looking for a haproxy process only" >&2; done
  pidof haproxy >/dev/null
  exit
fi

exec perl "$PROGRAM" "$ASKS" "$END_SECONDS" "$SPACING_SECONDS" "$WAITS" "$WAIT_SECONDS"
