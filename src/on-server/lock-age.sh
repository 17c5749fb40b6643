# How long ago the run that has the lock of a server gave its last sign of life.
# given: LOCK_DIR LOCK_BEAT

# Prints the seconds since the last heartbeat, by the server's own clock. A negative one lies in the future: somebody has set the clock
# back. The heartbeat is read before the clock: a run that beats between the two would else seem to beat in the future.
lock_age() {
  beat=$(stat -c %Y "$LOCK_BEAT" 2>/dev/null || stat -c %Y "$LOCK_DIR" 2>/dev/null) || beat=
  now=$(date +%s)
  echo $((now - ${beat:-now}))
}
