#!/bin/sh
# Asks HAProxy whether it works: exit 0 when it answers, 1 when it does not.
# Evidence and decisions that comments name are in docs/ of hactl's repository.
# usage: haproxy-service-check.sh [once [SECONDS]]    (keepalived's way is ASKS questions within END_SECONDS; nobody hurries who asks once)
# given: MASTER_SOCKET PROGRAM TRACK_DIR ASKS END_SECONDS SPACING_SECONDS WAITS WAIT_SECONDS

# look PID: sets its state and its start, which no other process of that number has. Both are empty where there is none.
look() {
  stat=''
  read -r stat 2>/dev/null <"/proc/${1:-none}/stat"
  # shellcheck disable=SC2086 # Words without their parentheses.
  set -- ${stat##*) }
  state=${1-} start=${20-}
}

# Sets "stuck": late PROGRAMs of the runs before that are there still, each with its start. One in state Z has ended, and one in state R ends
# as soon as it gets a CPU: that server is merely busy.
find_stuck() {
  noted='' stuck='' stuck_count=0
  read -r noted 2>/dev/null <"$TRACK_DIR/.check_late"
  # shellcheck disable=SC2086 # Pairs of words.
  set -- $noted
  while [ $# -gt 1 ]; do
    look "$1"
    if [ "$start" = "$2" ] && [ "$state" != Z ] && [ "$state" != R ]; then stuck="$stuck $1 $2" stuck_count=$((stuck_count + 1)); fi
    shift 2
  done
}

# The time is over: keepalived's SIGTERM (evidence K15). PROGRAM is still at work, or has not even started: on a server short of CPU that takes
# seconds, and this shell a tenth of it (evidence K18). So the shell repeats the verdict of the run before, as PROGRAM does where its time is up.
# It does so no more where a late PROGRAM has not even ended since: one that can never start finds no hung haproxy. "once" has no run before.
late() {
  kill "$!" 2>/dev/null
  [ "$ASKS" -gt 1 ] || exit 1
  find_stuck
  look "$!"
  [ -z "$start" ] || echo "$stuck $! $start" 2>/dev/null >"$TRACK_DIR/.check_late"
  down=''
  read -r down 2>/dev/null <"$TRACK_DIR/haproxy_down"
  [ "$stuck_count" = 0 ] && [ "$down" != 1 ] && [ ! -e "$TRACK_DIR/.check_failed" ] && exit 0
  exit 1
}

# Whether haproxy.service has a process. A haproxy of a container is none of its.
has_process() {
  for pid in $(pidof haproxy); do
    if grep -qE '/haproxy\.service(/|$)' "/proc/$pid/cgroup" 2>/dev/null; then return 0; fi
  done
  return 1
}

# Before all else that takes time on a busy server.
trap late TERM

if [ "${1-}" = once ]; then ASKS=1 END_SECONDS=${2-2} WAITS=$((WAITS * 3)); fi

if [ ! -S "$MASTER_SOCKET" ] || [ ! -r "$PROGRAM" ]; then
  for path in "$MASTER_SOCKET" "$PROGRAM"; do [ -e "$path" ] || echo "$path is not there: looking for a process of haproxy.service only" >&2; done
  has_process
  exit
fi

# Two that neither start nor end are enough: a third would wait for the same.
if [ "$ASKS" -gt 1 ] && [ -e "$TRACK_DIR/.check_late" ]; then
  find_stuck
  [ "$stuck_count" -lt 2 ] || exit 1
fi

perl "$PROGRAM" "$ASKS" "$END_SECONDS" "$SPACING_SECONDS" "$WAITS" "$WAIT_SECONDS" "$$" "$PPID" &
wait "$!"
