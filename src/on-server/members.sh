# The list of a cluster's members. Every member keeps it.
# needs: report.sh alone.sh state.sh
# given: MEMBERS

# has_member LINE...: whether the list has any of these lines.
has_member() { printf '%s\n' "$@" | grep -qxF -f - "$MEMBERS" 2>/dev/null; }

# forget_members LINE...: removes the lines; the list remains hactl's own.
forget_members() {
  umask 077
  [ -e "$MEMBERS" ] || return 0
  printf '%s\n' "$@" | grep -vxF -f - "$MEMBERS" >"$MEMBERS.hactl-new"
  sum=$(sha256sum -- "$MEMBERS.hactl-new" | cut -c1-64)
  {
    lines_but_of "$MEMBERS" &&
      printf '%s  %s\n' "$sum" "$MEMBERS"
  } >"$OWNED.new" && sync "$MEMBERS.hactl-new" "$OWNED.new" && mv -f "$OWNED.new" "$OWNED" && mv -f "$MEMBERS.hactl-new" "$MEMBERS"
}
