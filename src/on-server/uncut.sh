# Ends a drill's cut of traffic.

# Changes nothing where nothing was cut.
uncut() {
  for family in inet arp netdev; do nft delete table $family hactl_drill 2>/dev/null; done
  systemctl kill --signal=CONT keepalived.service 2>/dev/null
  for program in iptables ip6tables; do
    "$program" -w 5 -S HACTL_DRILL >/dev/null 2>&1 || continue
    "$program" -w 5 -D INPUT -j HACTL_DRILL
    "$program" -w 5 -D OUTPUT -j HACTL_DRILL
    "$program" -w 5 -F HACTL_DRILL
    "$program" -w 5 -X HACTL_DRILL
  done 2>/dev/null
  return 0
}

is_uncut() {
  for family in inet arp netdev; do nft list table $family hactl_drill >/dev/null 2>&1 && return 1; done
  for program in iptables ip6tables; do "$program" -w 5 -S HACTL_DRILL >/dev/null 2>&1 && return 1; done
  return 0
}
