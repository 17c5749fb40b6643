# Functions for a run that holds the lock.
# given: LOCK_DIR LOCK_INFO LOCK_BEAT LOCK_MUTEX LOCK_LOST_STATUS

is_ours() { grep -qxF "id $1" "$LOCK_INFO" 2>/dev/null; }

# Only one script at a time may pass; it keeps the others out until it ends.
enter_mutex() { exec 9>"$LOCK_MUTEX" && flock -w 10 9; }

release_lock() {
  is_ours "$1" && rm -rf "$LOCK_DIR"
  return 0
}

renew_lock() {
  is_ours "$1" && touch "$LOCK_BEAT"
  return 0
}

# Ends the script unless this run still holds the lock; counts as a heartbeat.
lock_guard() {
  is_ours "$1" || exit "$LOCK_LOST_STATUS"
  touch "$LOCK_BEAT"
}

# lock_guard_for_undo ID OWNER EVIDENCE: where the lock was broken and nobody has taken it since, it is taken again. EVIDENCE: a file that
# exists until another run succeeds on this server and removes it.
lock_guard_for_undo() {
  if ! is_ours "$1"; then
    enter_mutex && [ -e "$3" ] && mkdir "$LOCK_DIR" 2>/dev/null || exit "$LOCK_LOST_STATUS"
    printf 'id %s\nowner %s\nreason %s\n' "$1" "$2" 'an undo' >"$LOCK_INFO"
    exec 9>&-
  fi
  touch "$LOCK_BEAT"
}

# For an undo that may go on without the lock, but not beside a run that has it now.
lock_guard_unless_taken() { [ ! -e "$LOCK_INFO" ] || is_ours "$1" || exit "$LOCK_LOST_STATUS"; }
