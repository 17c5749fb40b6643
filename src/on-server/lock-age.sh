# The age of the last heartbeat of the run that has a server's lock.
# given: LOCK_DIR LOCK_BEAT

# Prints the seconds since the last heartbeat, by the server's own clock. A negative age means that the clock was set back. The heartbeat is
# read before the clock: otherwise a heartbeat between the two would seem to lie in the future.
lock_age() {
  beat=$(stat -c %Y "$LOCK_BEAT" 2>/dev/null || stat -c %Y "$LOCK_DIR" 2>/dev/null) || beat=
  now=$(date +%s)
  echo $((now - ${beat:-now}))
}
