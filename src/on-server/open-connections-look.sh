# Asks whether this server can keep open connections when an address moves, and what the service that does so says of itself.
# needs: sections.sh open-connections-loaded.sh
# given: OPEN_CONNECTIONS_PROGRAM OPEN_CONNECTIONS_FAMILIES ASK_SECONDS SAID_BYTES SAVED_RULES

# rules_like_ours FAMILY HOP-LIMIT PEER: one rule for each ability that the service needs.
rules_like_ours() {
  cat <<RULES
table $1 hactl-probe {
  set seen { type ether_type; size 4; flags dynamic,timeout; timeout 1s; }
  chain paint { type filter hook input priority 1000; policy accept; socket mark 1 meta mark set meta mark | 1; }
  chain arrive {
    type filter hook prerouting priority -350; policy accept;
    meta protocol @seen socket wildcard 0 accept
    update @seen { meta protocol timeout 1s } $2 set 9 dup to $3 drop
  }
}
RULES
}

# nft -c changes nothing, but the kernel loads the modules that the rules need.
ability() {
  if ! command -v nft >/dev/null; then
    if modprobe -nqa nft_socket nft_dup_ipv4 nft_dup_ipv6 2>/dev/null; then echo installable; else echo 'unable nft-missing'; fi
    return
  fi
  refused=$(for f in $OPEN_CONNECTIONS_FAMILIES; do
    case $f in
      4) rules_like_ours ip 'ip ttl' 192.0.2.1 ;;
      6) rules_like_ours ip6 'ip6 hoplimit' 2001:db8::1 ;;
    esac
  done | timeout -k 1 "$ASK_SECONDS" nft -c -f - 2>&1)
  case $? in
    0) echo able ;;
    124 | 137) echo 'unable silent' ;;
    *) printf 'unable refused %s\n' "$(printf '%s\n' "$refused" | head -n 1)" ;;
  esac
}

# Files that the packet filter is loaded from at boot, a line for each: SAVED_RULES, and what it includes itself, by name or by a pattern. A name
# that is not absolute begins in /etc (nft(8)).
saved_rules() {
  echo "$SAVED_RULES"
  sed -n 's/^[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$SAVED_RULES" 2>/dev/null | while IFS= read -r pattern; do
    case $pattern in /*) ;; *) pattern=/etc/$pattern ;; esac
    IFS=
    # shellcheck disable=SC2086 # A pattern.
    for f in $pattern; do echo "$f"; done
  done | head -n 100
}

has_our_table() { [ -f "$1" ] && grep -qE '^[[:space:]]*table[[:space:]]+ip6?[[:space:]]+hactl[[:space:]]' "$1" 2>/dev/null; }

open_connections_said() {
  b open-connections
  said=
  if is_started; then
    echo running
    newer_than_loaded "$OPEN_CONNECTIONS_PROGRAM" "${OPEN_CONNECTIONS_PROGRAM%.pl}.nft" "${OPEN_CONNECTIONS_PROGRAM%.pl}.conf" | grep -q . && echo outdated
    ! is_fresh || echo fresh
    said=$(timeout -k 1 "$ASK_SECONDS" "$OPEN_CONNECTIONS_PROGRAM" status 2>/dev/null | head -c "$SAID_BYTES")
    printf '%s\n' "$said"
  elif [ -e "$OPEN_CONNECTIONS_PROGRAM" ]; then
    echo stopped
  fi
  # Rules that are loaded need no other proof.
  case $said in '' | 'rules missing'*) ability ;; *) echo able ;; esac
  saved_rules | while IFS= read -r f; do ! has_our_table "$f" || echo "saved $f"; done
  e open-connections
}

# Of a server that is to keep none: what a service that is still there has open.
open_connections_left() { if [ -e "$OPEN_CONNECTIONS_PROGRAM" ]; then open_connections_said; fi; }
