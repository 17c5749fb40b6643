# The list of a cluster's members, which every member keeps.
# needs: report.sh alone.sh
# given: STATE_DIR

# has_member LINE...: whether the list has any of these lines.
has_member() { printf '%s\n' "$@" | grep -qxF -f - "$STATE_DIR/members" 2>/dev/null; }

# forget_members LINE...: the list remains hactl's own.
forget_members() {
  list="$STATE_DIR/members" owned="$STATE_DIR/owned"
  umask 077
  [ -e "$list" ] || return 0
  printf '%s\n' "$@" | grep -vxF -f - "$list" >"$list.hactl-new"
  sum=$(sha256sum -- "$list.hactl-new" | cut -c1-64)
  {
    grep -v "  $list\$" "$owned"
    printf '%s  %s\n' "$sum" "$list"
  } >"$owned.new" && mv -f "$owned.new" "$owned" && mv -f "$list.hactl-new" "$list"
}
