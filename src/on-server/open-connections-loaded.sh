# Whether the service that keeps open connections runs what is on disk.
# given: OPEN_CONNECTIONS_SERVICE OPEN_CONNECTIONS_LOADED

# systemd makes this link at each start of the unit, and removes it at its end.
started_link="/run/systemd/units/invocation:$OPEN_CONNECTIONS_SERVICE"

is_started() { [ -L "$started_link" ]; }

# Whether it started, or was reloaded by hactl, within the last 6 s: it may not know its peers yet.
is_fresh() { find "$started_link" "$OPEN_CONNECTIONS_LOADED" -newermt '6 seconds ago' 2>/dev/null | grep -q .; }

# newer_than_loaded FILE...: the files that were written after the service started or was last reloaded, and that have gone since. ctime: an undo
# puts old files back with their old mtime.
newer_than_loaded() {
  if [ -e "$OPEN_CONNECTIONS_LOADED" ]; then
    find "$@" -cnewer "$started_link" -cnewer "$OPEN_CONNECTIONS_LOADED" 2>&1
  else
    find "$@" -cnewer "$started_link" 2>&1
  fi
}
