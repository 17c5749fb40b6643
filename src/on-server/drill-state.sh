# The state of a server in one short look, which is compared before and after a drill.
# given: UNITS TRACKERS FILES

# The given variables are lists of words.
set -f

# Packet filter rules change by themselves only in counters and set elements, which nft's -s and -t leave out. iptables lists a table that was
# ever used, so empty chains with policy ACCEPT do not count.
firewall() {
  if command -v nft >/dev/null; then
    nft -s -t list ruleset 2>/dev/null
  elif command -v iptables-save >/dev/null; then
    { iptables-save; ip6tables-save; } 2>/dev/null |
      sed -e '/^[#*]/d' -e '/^COMMIT/d' -e '/^:[A-Z]* ACCEPT /d' -e 's/ *[[][0-9]*:[0-9]*[]]//'
  else
    echo none
  fi
}

drill_state() {
  for unit in $UNITS; do echo "unit $unit $(systemctl show -p ActiveState --value "$unit.service")"; done
  # On lo a server keeps an address that it has given away, while it has open connections of it.
  ip -o addr show | while read -r _ dev family address _; do [ "$dev" = lo ] || echo "address $family ${address%/*}"; done
  systemctl list-units --all --plain --no-legend 'hactl-undo-*' 'hactl-drill-*' | while read -r unit _; do echo "residue $unit"; done
  for path in $TRACKERS; do [ -r "$path" ] && read -r value <"$path" && echo "tracker $path $value"; done
  # shellcheck disable=SC2086 # A list of paths.
  [ -z "$FILES" ] || sha256sum -- $FILES 2>/dev/null | while read -r sum path; do echo "file $path $sum"; done
  rules=$(firewall)
  [ "$rules" = none ] || echo "firewall $(printf %s "$rules" | sha256sum)"
  echo end
}
