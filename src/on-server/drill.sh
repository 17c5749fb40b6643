# What drills do to the two services, and how it is undone. Each undo may run twice.
# needs: stop-vrrp.sh

runs() { systemctl is-active --quiet "$1.service"; }

# After too many starts in a row systemd refuses another one until the count is reset (systemd.unit(5), StartLimitIntervalSec).
start_anew() {
  systemctl reset-failed "$1.service" 2>/dev/null
  systemctl start "$1.service"
}

# signal NAME UNIT: to all processes of the unit.
signal() { systemctl kill --signal="$1" "$2.service"; }

continue_again() {
  signal CONT "$1" 2>/dev/null
  start_anew "$1"
}

# none_stopped NAME: whether no process of that name is stopped. State is the first word behind the name in brackets (proc(5),
# /proc/pid/stat).
none_stopped() {
  for f in /proc/[0-9]*/stat; do
    read -r line <"$f" || continue
    case $line in *"($1) T "*) return 1 ;; esac
  done 2>/dev/null
  return 0
}

# A loop that must end with the undo is a unit: it may outlive the connection that started it, and the undo can stop it.
crash_repeatedly() {
  n=0
  while [ $n -lt "$1" ]; do
    signal KILL haproxy 2>/dev/null
    sleep "$2"
    n=$((n + 1))
  done
}

reload_repeatedly() {
  n=0
  while [ $n -lt "$1" ]; do
    systemctl reload haproxy.service
    sleep "$2"
    n=$((n + 1))
  done
}

end_loop() {
  systemctl stop hactl-drill-loop.service 2>/dev/null
  start_anew haproxy
}

loop_has_ended() { ! systemctl is-active --quiet hactl-drill-loop.service && runs haproxy; }
