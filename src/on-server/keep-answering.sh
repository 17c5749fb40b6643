# For the server that gives addresses away where no hook hands them over.
# needs: hand-over.sh

# keep_answering PROGRAM: run it before the addresses move. A service of its own runs PROGRAM, which takes the routes away again, so that nothing
# is left when the controller is lost. Where the service cannot be started, the move goes on without the routes.
keep_answering() {
  for address in $ADDRESSES; do route replace "$address"; done
  systemd-run --quiet --collect --unit=haproxy-hactl-keep-answering /bin/sh -c "$1" || stop_answering
  return 0
}

# answer_until_gone HUNDREDTHS: answers for HUNDREDTHS at the most, and a moment longer, until the new holder has announced itself.
answer_until_gone() {
  wait_until_gone "$1"
  sleep "$GRACE_SECONDS"
  close_connections
  stop_answering
}
