#!/bin/sh
# Lets the packets through that HAProxy and Keepalived need. "open" adds the rules, all with the comment MARK. "close" takes them away again.
# usage: hactl-firewall open|close
# given: MARK UNIT NFT_CHAINS NFT_RULES IPTABLES_RULES IP6TABLES_RULES UFW_RULES

# Rules are lists of words and not patterns of file names.
set -f
service=${UNIT##*/}
link=/etc/systemd/system/multi-user.target.wants/$service

# nftables: NFT_CHAINS are "FAMILY TABLE CHAIN" lines. Old rules are replaced in one transaction, so that nothing is closed in between.
nft_forget() {
  printf '%s\n' "$NFT_CHAINS" | while read -r family table chain; do
    nft -a list chain "$family" "$table" "$chain" 2>/dev/null |
      sed -n "s|.* comment \"$MARK\" # handle \([0-9]*\)\$|delete rule $family $table $chain handle \1|p"
  done
}
nft_open() {
  {
    nft_forget
    printf '%s\n' "$NFT_RULES"
  } | nft -f -
}
nft_close() { nft_forget | nft -f -; }

# iptables and ip6tables: each rule is a line "CHAIN MATCH...".
iptables_own() { "$1" -w 5 -S | sed -n "/ --comment \"*$MARK\"* /s/^-A //p" | tr -d '"'; }
iptables_forget() {
  printf '%s\n' "$2" | while read -r rule; do
    # shellcheck disable=SC2086 # A rule is a list of words.
    [ -z "$rule" ] || "$1" -w 5 -D $rule
  done
}
iptables_open() {
  old=$(iptables_own "$1")
  printf '%s\n' "$2" | while read -r rule; do
    # shellcheck disable=SC2086 # A rule is a list of words.
    "$1" -w 5 -I $rule -m comment --comment "$MARK" -j ACCEPT || exit 1
  done || return 1
  iptables_forget "$1" "$old"
}
iptables_close() { iptables_forget "$1" "$(iptables_own "$1")"; }

# ufw: rules in the form of `ufw show added`.
ufw_own() { ufw show added | sed -n "s/^ufw \(.*\) comment '$MARK'\$/\1/p"; }
ufw_open() {
  printf '%s\n' "$UFW_RULES" | while read -r rule; do
    # shellcheck disable=SC2086 # A rule is a list of words.
    ufw $rule comment "$MARK" </dev/null || exit 1
  done || return 1
  ufw_own | while read -r rule; do
    # shellcheck disable=SC2086 # A rule is a list of words.
    printf '%s\n' "$UFW_RULES" | grep -qxF "$rule" || ufw --force delete $rule </dev/null
  done
}
ufw_close() {
  ufw_own | while read -r rule; do
    # shellcheck disable=SC2086 # A rule is a list of words.
    ufw --force delete $rule </dev/null
  done
}

# each open|close: opens or closes every packet filter that has rules here.
each() {
  { [ -z "$NFT_RULES" ] || "nft_$1"; } &&
    { [ -z "$IPTABLES_RULES" ] || "iptables_$1" iptables "$IPTABLES_RULES"; } &&
    { [ -z "$IP6TABLES_RULES" ] || "iptables_$1" ip6tables "$IP6TABLES_RULES"; } &&
    { [ -z "$UFW_RULES" ] || "ufw_$1"; }
}

case $1 in
  open)
    each open || exit 1
    [ -e "$UNIT" ] || exit 0
    [ -L "$link" ] || systemctl enable --quiet "$service"
    # It is started as well: only an active unit is reloaded together with the unit that loads the filter's rules.
    systemctl --quiet is-active "$service" || systemctl start --no-block "$service"
    ;;
  close)
    # The unit's file may be gone already, and systemctl disable would then refuse.
    [ ! -L "$link" ] || {
      rm -f "$link"
      systemctl stop "$service" 2>/dev/null
    }
    each close
    ;;
  *)
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 2
    ;;
esac
