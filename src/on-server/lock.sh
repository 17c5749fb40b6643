# The lock of a cluster on one server: a folder with a heartbeat, judged by the server's own clock.
# needs: lock-held.sh lock-age.sh
# given: LOCK_EXPIRES_SECONDS CLOCK_SET_BACK_SECONDS BUSY_STATUS

# Waits, outside of the mutex, where the clock was set back: a living run shows itself by its next beat. A dead one's lock would else be kept
# until the clock is there again.
await_beat() {
  age=$(lock_age)
  [ "$age" -ge 0 ] || sleep "$CLOCK_SET_BACK_SECONDS"
}

# After await_beat: whether the owner's last sign of life is too old.
is_dead() {
  age=$(lock_age)
  [ "$age" -lt 0 ] || [ "$age" -gt "$LOCK_EXPIRES_SECONDS" ]
}

# After await_beat: ends the script, and says whose the lock is, where its owner lives.
end_where_alive() {
  is_dead && return
  echo "age $age"
  cat "$LOCK_INFO" 2>/dev/null
  exit "$BUSY_STATUS"
}

# Ends the script where a living run has the lock. A look that holds none touches nothing of that run's.
free_guard() {
  [ -d "$LOCK_DIR" ] || return 0
  await_beat
  end_where_alive
}

# break_lock force|dead: of a dead run, or of any.
break_lock() {
  [ -d "$LOCK_DIR" ] || exit 0
  [ "$1" = force ] || await_beat
  enter_mutex || exit 1
  if [ "$1" = force ] || is_dead; then rm -rf "$LOCK_DIR"; else exit "$BUSY_STATUS"; fi
}
