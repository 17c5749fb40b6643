# The lock of a cluster on one server: a folder with a heartbeat, judged by the server's own clock.
# needs: lock-held.sh lock-age.sh
# given: LOCK_EXPIRES_SECONDS CLOCK_SET_BACK_SECONDS BUSY_STATUS

# Where the clock was set back, waits outside the mutex for the next heartbeat of a living run. Without this the lock of a dead run would count
# as held until the clock has caught up.
await_beat() {
  age=$(lock_age)
  [ "$age" -ge 0 ] || sleep "$CLOCK_SET_BACK_SECONDS"
}

# After await_beat: whether the owner's last heartbeat is too old.
is_dead() {
  age=$(lock_age)
  [ "$age" -lt 0 ] || [ "$age" -gt "$LOCK_EXPIRES_SECONDS" ]
}

# After await_beat: where the owner is alive, prints whose the lock is and ends the script.
end_where_alive() {
  is_dead && return
  echo "age $age"
  cat "$LOCK_INFO" 2>/dev/null
  exit "$BUSY_STATUS"
}

# Ends the script where a living run has the lock: a look without the lock must not change anything of that run's.
free_guard() {
  [ -d "$LOCK_DIR" ] || return 0
  await_beat
  end_where_alive
}

# break_lock force|dead: breaks the lock of any run, or only that of a dead one.
break_lock() {
  [ -d "$LOCK_DIR" ] || exit 0
  [ "$1" = force ] || await_beat
  enter_mutex || exit 1
  if [ "$1" = force ] || is_dead; then rm -rf "$LOCK_DIR"; else exit "$BUSY_STATUS"; fi
}
