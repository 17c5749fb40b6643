# Tells keepalived that haproxy runs, where no hook has.
# needs: trackers.sh

# Once haproxy is active: no hook has spoken for a haproxy that ran before its drop-in came, and its track file may say "down".
say_haproxy_runs() {
  make_track_dir
  write_tracker haproxy_down 0
}

# keepalived may be given its track files while haproxy needs no step of its own, or after they were lost.
say_haproxy_runs_to_keepalived() {
  if systemctl --quiet is-active haproxy.service; then say_haproxy_runs; fi
  make_missing_trackers
}
