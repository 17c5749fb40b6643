# Keeps what this run replaces on a server in the run's own folder, with a record from which restore.sh restores everything. Also keeps what was
# there before hactl's first change, which remove.sh gives back. All of it is written out before the change itself: a power cut must leave no
# change whose record, or whose copy of the file before, is empty.
# needs: report.sh links.sh state.sh
# given: UNITS THIS_RUN RECORD_IN_RUN OWNED_IN_RUN ORIGINAL_UNITS LOADED_DIR

# sum PATH: prints the file's checksum, and nothing where there is no file.
sum() {
  [ -e "$1" ] || return 0
  file_sum=$(sha256sum -- "$1" 2>/dev/null)
  printf '%s\n' "${file_sum%% *}"
}

# pristine PATH: whether the file is a conffile as its package ships it. An installation in this same run may have just written it.
pristine() {
  # shellcheck disable=SC2016,SC2086 # dpkg-query's own variable; a list of package names.
  dpkg-query -W -f='${Conffiles}\n' $UNITS 2>/dev/null | grep -qF " $1 $(md5sum -- "$1" 2>/dev/null | cut -c1-32)"
}

# own PATH [SHA256]: records what hactl wrote. The record is replaced as a whole, so that a crash leaves the old one or the new one. It is
# written before the file itself: a crash in between must never make hactl's own file look like somebody else's.
own() {
  {
    lines_but_of "$1" && { [ -z "$2" ] || printf '%s  %s\n' "$2" "$1"; }
  } >"$OWNED.new" && sync "$OWNED.new" && mv -f "$OWNED.new" "$OWNED"
}

# original PATH: keeps what was there before hactl's first change until hactl remove gives it back.
original() {
  [ -e "$1" ] && ! owns "$1" || return 0
  o=$(original_of "$1")
  [ -e "$o" ] || {
    originals && link "$1" "$o" && cp -p -- "$1" "$o.new" && sync "$o.new" && mv -f "$o.new" "$o"
  }
}

# keep PATH COPY: records and copies what is at PATH, once a run.
keep() {
  record="$THIS_RUN/$RECORD_IN_RUN" owned_then="$THIS_RUN/$OWNED_IN_RUN"
  if has_line "$record" "file + $1" || has_line "$record" "file - $1"; then return; fi
  if [ -e "$1" ]; then
    link "$1" "$2" && cp -p -- "$1" "$2" && sync "$2" || return 1
    printf 'file + %s %s\n' "$1" "$2"
  else
    printf 'file - %s -\n' "$1"
  fi >>"$record" && sync "$record" || return 1
  original "$1" || return 1
  [ -e "$owned_then" ] || { [ ! -e "$OWNED" ] && : >"$owned_then"; } ||
    { cp -p "$OWNED" "$owned_then.new" && sync "$owned_then.new" && mv -f "$owned_then.new" "$owned_then"; }
}

# remember_unit UNIT: records the unit's present state, for this run's own undo and for hactl remove.
remember_unit() {
  active=$(systemctl is-active "$1" 2>/dev/null || :)
  at_boot=$(systemctl is-enabled "$1" 2>/dev/null | grep . || echo unknown)
  # The state before hactl's first change is kept for hactl remove. Once there are files of hactl's, it can no longer be seen.
  [ -e "$OWNED" ] || has_line "$ORIGINAL_UNITS" "$1" || {
    originals && echo "$1 $active $at_boot" >>"$ORIGINAL_UNITS" && sync "$ORIGINAL_UNITS"
  } || fail "service/$1" 'its previous state could not be recorded (disk full?)'
  has_line "$THIS_RUN/$RECORD_IN_RUN" "unit $1" ||
    { echo "unit $1 $active $at_boot $(cat "$LOADED_DIR/$1" 2>/dev/null)" >>"$THIS_RUN/$RECORD_IN_RUN" && sync "$THIS_RUN/$RECORD_IN_RUN"; } ||
    fail "service/$1" 'its previous state could not be recorded (disk full?)'
}
