# What this run replaces on a server: kept in its own folder, with a record from which restore.sh puts everything back, and what stood there
# before hactl's first change, which remove.sh gives back.
# needs: report.sh links.sh state.sh
# given: UNITS THIS_RUN RECORD_IN_RUN OWNED_IN_RUN ORIGINAL_UNITS LOADED_DIR

sum() { sha256sum -- "$1" 2>/dev/null | { read -r s _; echo "$s"; }; }

# pristine PATH: the conffile as its package ships it; an installation in this same run has just put it there.
pristine() {
  # shellcheck disable=SC2016,SC2086 # dpkg-query's own variable; a list of package names.
  dpkg-query -W -f='${Conffiles}\n' $UNITS 2>/dev/null | grep -qF " $1 $(md5sum -- "$1" 2>/dev/null | cut -c1-32)"
}

# own PATH [SHA256]: the record of what hactl wrote, replaced as a whole so that a crash leaves the old one or the new one. Written before
# the file itself: a crash in between must never make hactl's own file look like somebody else's.
own() {
  {
    lines_but_of "$1" && { [ -z "$2" ] || printf '%s  %s\n' "$2" "$1"; }
  } >"$OWNED.new" && mv -f "$OWNED.new" "$OWNED"
}

# original PATH: what stood there before hactl's first change, kept for good: hactl remove gives it back.
original() {
  [ -e "$1" ] && ! owns "$1" || return 0
  o=$(original_of "$1")
  [ -e "$o" ] || {
    originals && link "$1" "$o" && cp -p -- "$1" "$o.new" && sync "$o.new" && mv -f "$o.new" "$o"
  }
}

# keep PATH COPY: remembers what stands at PATH, once a run.
keep() {
  record="$THIS_RUN/$RECORD_IN_RUN" owned_then="$THIS_RUN/$OWNED_IN_RUN"
  if has_line "$record" "file + $1" || has_line "$record" "file - $1"; then return; fi
  if [ -e "$1" ]; then
    link "$1" "$2" && cp -p -- "$1" "$2" || return 1
    printf 'file + %s %s\n' "$1" "$2"
  else
    printf 'file - %s -\n' "$1"
  fi >>"$record" || return 1
  original "$1" || return 1
  [ -e "$owned_then" ] || { [ ! -e "$OWNED" ] && : >"$owned_then"; } || cp -p "$OWNED" "$owned_then"
}

# remember_unit UNIT: how it is now, for this run's own way back and for hactl remove.
remember_unit() {
  active=$(systemctl is-active "$1" 2>/dev/null || :)
  at_boot=$(systemctl is-enabled "$1" 2>/dev/null | grep . || echo unknown)
  # What it was before hactl's first change, kept for good: hactl remove gives it back. With files of hactl's there it is too late for that.
  [ -e "$OWNED" ] || has_line "$ORIGINAL_UNITS" "$1" || {
    originals && echo "$1 $active $at_boot" >>"$ORIGINAL_UNITS"
  } || fail "service/$1" 'its previous state could not be recorded (disk full?)'
  has_line "$THIS_RUN/$RECORD_IN_RUN" "unit $1" ||
    echo "unit $1 $active $at_boot $(cat "$LOADED_DIR/$1" 2>/dev/null)" >>"$THIS_RUN/$RECORD_IN_RUN" ||
    fail "service/$1" 'its previous state could not be recorded (disk full?)'
}
