#!/bin/sh
# The stand-ins that are called most, as functions: put before a script, they cost no process. The others, and what find -exec calls, are in
# stand-ins/.

# Everything belongs to root, whoever runs the tests.
stat() {
  [ "$3" = '%a %U %G %s %n' ] || {
    command stat "$@"
    return
  }
  shift 4
  command stat -L -c '%a root root %s %n' "$@"
}

# Everything belongs to root already.
chown() { :; }

# The check script answers as haproxy runs. The perl script asks haproxy's master for its workers, and whether a reload failed.
# Everything else that hactl bounds with timeout finds nobody there.
timeout() {
  case "$*" in
    *haproxy-service-check.sh*) [ -e "$ROOT/world/units/haproxy/active" ] && ! [ -e "$ROOT/world/haproxy-hangs" ] ;;
    *perl*)
      cat "$ROOT/proc/100/task/100/children" || return
      ! [ -e "$ROOT/world/units/haproxy/kept-old" ] || echo failed
      ;;
    *) return 1 ;;
  esac
}
