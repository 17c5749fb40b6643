# How haproxy and keepalived themselves show that they run what is on disk: systemctl reload exits 0 even where they do not.
# given: CHECK_SCRIPT WORKERS_PROGRAM ANSWER_PROGRAM
#
# How long they wait, at least, with looks 0.05 s apart: 20 s (400 looks) for a new worker of haproxy, 5 s (100 looks) until it answers, and 14 s (60
# looks, each of which waits 0.18 s for a dump) for keepalived. keepalived's reload has taken 12 s, while a DNS did not answer (evidence K11).
# haproxy's two are chosen and not measured: all three together, 39 s, are less than the 90 s for which another change waits
# (ALONE_WITHIN_SECONDS, src/engine/limits.ts). Where haproxy hangs, each look takes up to 10 s, and the deadline of the change comes first.

# Prints the process ids of haproxy's current workers, and "failed" where it could not load its last configuration.
workers() {
  timeout 10 perl -e "$WORKERS_PROGRAM" 2>/dev/null || {
    main=$(systemctl show -p MainPID --value haproxy.service)
    cat "/proc/$main/task/$main/children" 2>/dev/null
  }
}

haproxy_answers() {
  n=0
  while [ $n -lt 100 ]; do
    timeout -k 1 10 "$CHECK_SCRIPT" once 9 >/dev/null 2>&1 && return 0
    sleep 0.05
    n=$((n + 1))
  done
  echo "the check script $CHECK_SCRIPT reports that haproxy does not answer"
  return 1
}

note_workers() { before=$(workers | sed 's/failed//'); }

# Call it after note_workers and a reload. A new worker is the only proof: where a listener cannot be bound, the master keeps the old worker and
# counts a failure (evidence H2).
haproxy_loaded() {
  n=0
  while [ $n -lt 400 ]; do
    for pid in $(workers); do
      if [ "$pid" = failed ]; then
        echo 'haproxy kept its old configuration: the new one could not be loaded'
        return 1
      fi
      case " $before " in
        *" $pid "*) ;;
        *)
          haproxy_answers
          return
          ;;
      esac
    done
    sleep 0.05
    n=$((n + 1))
  done
  echo 'no new haproxy worker started'
  return 1
}

# keepalived_shows EXPECTED...: keepalived's own dump must match every expectation (extended regular expressions). The first look waits a moment:
# the signal would kill a child that has not yet set its signal handlers. 0.2 s is chosen and not measured.
keepalived_shows() {
  n=0
  missing='' refused=''
  sleep 0.2
  while [ $n -lt 60 ]; do
    pid=
    [ -r /run/keepalived.pid ] && read -r pid </run/keepalived.pid
    if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
      rm -f /tmp/keepalived.json 2>/dev/null
      kill -36 "$pid"
      missing='' refused=''
      said=$(perl -e "$ANSWER_PROGRAM" -- /tmp/keepalived.json 10) || [ $? -ne 2 ] || refused=yes
      for x; do printf '%s\n' "$said" | grep -qE -- "$x" || missing=$x; done
      [ -n "$missing" ] || return 0
    fi
    sleep 0.05
    n=$((n + 1))
  done
  if [ -n "$refused" ]; then
    echo 'keepalived cannot answer: /tmp/keepalived.json is not a file that only root can write (rm -rf /tmp/keepalived.json)'
  elif [ -n "$missing" ]; then
    echo "keepalived runs, but does not report $missing"
  else
    echo 'keepalived does not run'
  fi
  return 1
}
