# Takes the lock, and converts hactl's state for this version.
# needs: lock.sh format.sh
# given: STATE_DIR

# take_lock ID OWNER REASON. flock(1) makes "is it stale? then break it and take it" one step, so that two runs cannot both break it.
take_lock() {
  umask 077
  mkdir -p "$STATE_DIR" || exit 1
  await_beat
  enter_mutex || exit 1
  if ! mkdir "$LOCK_DIR" 2>/dev/null; then
    [ -d "$LOCK_DIR" ] || {
      mkdir "$LOCK_DIR"
      exit 1
    }
    end_where_alive
  fi
  printf 'id %s\nowner %s\nreason %s\n' "$1" "$2" "$3" >"$LOCK_INFO" && : >"$LOCK_BEAT" || {
    # Nobody could release a lock without its owner's name, so a full disk must not leave one.
    rm -f "$LOCK_INFO" "$LOCK_BEAT"
    rmdir "$LOCK_DIR"
    exit 1
  }
  exec 9>&-
  ready_state && exit 0
  rc=$?
  release_lock "$1"
  exit $rc
}
