# Cuts traffic with the server's own packet filter, in a table or chain of hactl's own, which uncut.sh removes as a whole. "ip link set down"
# is not used, because it removes the routes as well (evidence T15). nft where the kernel supports it, else iptables.
# needs: stop-vrrp.sh

has_nft() { nft -c add table inet hactl_drill >/dev/null 2>&1; }
has_iptables() { iptables -w 5 -S INPUT >/dev/null 2>&1; }
can_cut() { has_nft || has_iptables; }

# both WORD...: iptables for both families, as far as the kernel has them.
both() {
  iptables -w 5 "$@" || return 1
  ip6tables -w 5 -S INPUT >/dev/null 2>&1 || return 0
  ip6tables -w 5 "$@"
}

# table FAMILY: prints a table with the chains from stdin.
table() {
  echo "table $1 hactl_drill {"
  cat
  echo '}'
}

# chain in|out RULE...: prints a chain that comes before all others of that hook, so that no accept of the server's own rules comes first. Its
# name is not "in" or "out", which are keywords of nft in some releases (0.9.8).
chain() {
  case $1 in
    in) name=incoming hook=input ;;
    out) name=outgoing hook=output ;;
  esac
  shift
  echo "  chain $name { type filter hook $hook priority -300; policy accept;"
  printf '    %s\n' "$@"
  echo '  }'
}

# cut_vrrp in|out...: no VRRP passes in these directions (protocol 112: RFC 5798 section 5.1.1.4).
cut_vrrp() {
  if has_nft; then
    for direction; do chain "$direction" 'meta l4proto 112 drop'; done | table inet | nft -f -
    return
  fi
  both -N HACTL_DRILL && both -A HACTL_DRILL -p 112 -j DROP || return
  for direction; do
    case $direction in
      in) both -I INPUT 1 -j HACTL_DRILL ;;
      out) both -I OUTPUT 1 -j HACTL_DRILL ;;
    esac || return
  done
}

# Sets port to the port of this SSH connection on this server, or ends with 1. sudo drops SSH_CONNECTION (sshd(8), "ENVIRONMENT"), so it is
# looked for in the parent processes.
find_ssh_port() {
  p=$$ found=
  while [ -z "$found" ] && [ "${p:-0}" -gt 1 ]; do
    found=$(tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
    p=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$p/status" 2>/dev/null)
  done
  port=${found##* }
  case $port in
    '' | *[!0-9]*)
      echo 'the port of this SSH connection is not known: the connection would be cut as well' >&2
      exit 1
      ;;
  esac
}

# cut_link INTERFACE VIP keep|sever: nothing passes on the interface except, with "keep", the SSH connection's own port. The address stays on
# the interface, so ARP for it must be dropped separately: neighbours must not be sent back to a server that cannot answer them. keepalived's
# own gratuitous ARP passes every hook except netdev's egress (nft 1.0.1, Linux 5.16). Without that hook keepalived is stopped as well. One
# such ARP interrupted the service for 8 s although the other server had the address (evidence T14).
cut_link() {
  interface=$1 vip=$2 ssh=$3
  in="iifname \"$interface\"" out="oifname \"$interface\""
  [ "$ssh" = sever ] || find_ssh_port
  if ! has_nft; then
    cut_link_with_iptables
    return
  fi
  if [ "$ssh" = keep ]; then
    neighbours='icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'
    {
      chain in "$in tcp dport $port accept" "$in $neighbours" "$in drop"
      chain out "$out tcp sport $port accept" "$out $neighbours" "$out drop"
    } | table inet | nft -f - || exit 1
    case $vip in
      *:*) egress="ip6 saddr $vip drop" ;;
      *)
        egress="arp saddr ip $vip drop"
        chain out "$out $egress" | table arp | nft -f - 2>/dev/null
        ;;
    esac
  else
    egress=drop
    { chain in "$in drop" && chain out "$out drop"; } | table inet | nft -f - || exit 1
    case $vip in
      *:*) ;;
      *) { chain in "$in drop" && chain out "$out drop"; } | table arp | nft -f - 2>/dev/null ;;
    esac
  fi
  nft -f - <<RULES 2>/dev/null || stop_vrrp_process
table netdev hactl_drill {
  chain outgoing { type filter hook egress device "$interface" priority -300; policy accept;
    $egress
  }
}
RULES
}

cut_link_with_iptables() {
  stop_vrrp_process
  both -N HACTL_DRILL || return
  if [ "$ssh" = keep ]; then
    both -A HACTL_DRILL -i "$interface" -p tcp --dport "$port" -j ACCEPT &&
      both -A HACTL_DRILL -o "$interface" -p tcp --sport "$port" -j ACCEPT || return
  fi
  both -A HACTL_DRILL -i "$interface" -j DROP && both -A HACTL_DRILL -o "$interface" -j DROP &&
    both -I INPUT 1 -j HACTL_DRILL && both -I OUTPUT 1 -j HACTL_DRILL
}
