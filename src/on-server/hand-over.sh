# Make before break: what a server does while its addresses move to another.
# needs: own-addresses.sh pace.sh
# given: ADDRESSES POLL_HUNDREDTHS GRACE_SECONDS

# What look_at_addresses has seen.
here=

# Whether this server holds one of the addresses.
holds() {
  look_at_addresses
  for address in $ADDRESSES; do
    case $here in *" $address/"*) return 0 ;; esac
  done
  return 1
}

# route VERB ADDRESS: a local route by which a server answers on an address that it no longer has. The new holder's keepalived sends its first
# advert 0.2 ms to 70 ms before it has the address and announces it (evidence T7). At that advert the old holder drops the address, and packets
# that arrive there in between would be lost.
route() {
  case $2 in
    *:*) ip -6 route "$1" local "$2" dev lo metric 9 table local ;;
    *) ip route "$1" local "$2" dev lo metric 9 table local ;;
  esac
}

# Routes for the addresses that this server has. It must not answer for an address of another server: it would also do so by ARP.
answer() {
  look_at_addresses
  for address in $ADDRESSES; do
    case $here in *" $address/"*) route replace "$address" ;; esac
  done
}

stop_answering() { for address in $ADDRESSES; do route del "$address" 2>/dev/null; done; }

# wait_until_gone HUNDREDTHS: waits until the addresses have left, for HUNDREDTHS at the most.
wait_until_gone() { wait_while "$1" "$POLL_HUNDREDTHS" holds; }

# Sets left to the addresses that this server does not hold.
find_left() {
  look_at_addresses
  left=
  for address in $ADDRESSES; do
    case $here in *" $address/"*) ;; *) left="$left $address" ;; esac
  done
}

# Ends connections to addresses that have left. The connections failed at that moment, but this server would keep them for a quarter of an hour
# (tcp_retries2, tcp(7)). If the address returned meanwhile, a client that reused the port of such a connection would get no answer, not even a
# refusal (evidence T8). Where the kernel cannot end connections (CONFIG_INET_DIAG_DESTROY, ss(8)), they stay.
close_connections() {
  find_left
  for address in $left; do
    case $address in *:*) source="[$address]" ;; *) source=$address ;; esac
    ss -K -H -t state connected src "$source" >/dev/null 2>&1
  done
}
