# Asks keepalived for its state: its dumps, and whether it still watches its track files. Changes nothing except the dumps in /tmp.
# needs: sections.sh
# given: TRACKERS TRACKER_FOLDERS KEEPALIVED_CONF DAMPING_UNIT SAID_PROGRAM

trackers() {
  for f in $TRACKERS; do
    v=
    [ -e "$f" ] && { { read -r v <"$f"; } 2>/dev/null; echo "$f $v"; }
  done
}

# Whether a haproxy that crashed is watched: until then its server's priority stays low (service-hooks.sh). systemd keeps a file for each transient
# unit.
is_damped() { [ -e "/run/systemd/transient/$DAMPING_UNIT.timer" ]; }

# keepalived writes its dumps asynchronously: it is asked first, and the dumps are read last. SIGUSR1 is "write all data", the only dump with the
# track files. Signal 36 is SIGRTMIN+2, "write JSON" (keepalived --signum=JSON).
ask_keepalived() {
  trackers_asked=$(trackers)
  damped=
  is_damped && damped=yes
  ka_pid=
  [ -r /run/keepalived.pid ] && read -r ka_pid </run/keepalived.pid
  if [ -n "$ka_pid" ] && [ -d "/proc/$ka_pid" ]; then
    rm -f /tmp/keepalived.json /tmp/keepalived.data /tmp/keepalived_parent.data 2>/dev/null
    kill -USR1 "$ka_pid" 2>/dev/null
    kill -36 "$ka_pid" 2>/dev/null || ka_pid=
  else
    ka_pid=
  fi
}

# looks_after ADDRESS: whether the running keepalived has this address in its configuration.
looks_after() { [ -n "$ka_pid" ] && grep -qwF -- "$1" "$KEEPALIVED_CONF" 2>/dev/null; }

# The kernel identifies what a process watches by inode: a folder that was deleted and made again is a different one (proc(5), fdinfo).
watched() {
  [ -n "$ka_pid" ] || return 0
  children=
  { read -r children <"/proc/$ka_pid/task/$ka_pid/children"; } 2>/dev/null
  set --
  for p in $ka_pid $children; do
    [ ! -r "/proc/$p/fdinfo/0" ] || set -- "$@" "/proc/$p"/fdinfo/*
  done
  [ $# -gt 0 ] || return 0
  b watched
  for d in $TRACKER_FOLDERS; do
    i=$(printf %x "$(stat -c %i "$d" 2>/dev/null || echo 0)")
    if grep -qs "^inotify wd:[0-9a-f]* ino:$i " "$@"; then echo yes; else echo no; fi
  done
  e watched
}

# Prints sections of its answers, and of the track files before it was asked and now.
keepalived_said() {
  watched

  [ -z "$ka_pid" ] || perl -e "$SAID_PROGRAM" -- /tmp/keepalived.json /tmp/keepalived.data /tmp/keepalived_parent.data
  # Before the track files: once the timer is gone, the priority is back.
  is_damped && damped=yes
  if [ -n "$damped" ]; then
    b damped
    e damped
  fi
  b trackers-asked
  echo "$trackers_asked"
  e trackers-asked
  b trackers
  trackers
  e trackers
}
