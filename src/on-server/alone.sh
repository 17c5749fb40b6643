# A switch may outlive its connection: nothing may be restored, or changed by a later run, while it still runs.
# needs: report.sh
# given: SWITCH_MUTEX ALONE_WITHIN_SECONDS

alone() {
  exec 8>"$SWITCH_MUTEX"
  flock -w "$ALONE_WITHIN_SECONDS" 8 || fail run 'another change of this server has not ended yet'
}
