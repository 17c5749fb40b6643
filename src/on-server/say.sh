# Tells keepalived that haproxy runs, where no hook has done so.
# needs: trackers.sh

# Called once haproxy is active: no hook ran for a haproxy that was started before its drop-in existed, and its track file may say "down".
say_haproxy_runs() {
  make_track_dir
  write_tracker haproxy_down 0
}

# keepalived may get its track files while haproxy needs no step of its own, or after the files were lost.
say_haproxy_runs_to_keepalived() {
  if systemctl --quiet is-active haproxy.service; then say_haproxy_runs; fi
  make_missing_trackers
}
