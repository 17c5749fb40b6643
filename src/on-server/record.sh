# What this run replaces on a server: kept in its own folder, with a record from which restore.sh puts everything back, and what stood there
# before hactl's first change, which remove.sh gives back.
# needs: report.sh links.sh
# given: STATE_DIR THIS_RUN

sum() { sha256sum -- "$1" 2>/dev/null | { read -r s _; echo "$s"; }; }

# pristine PATH: the conffile as its package ships it; an installation in this same run has just put it there.
pristine() {
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  dpkg-query -W -f='${Conffiles}\n' haproxy keepalived 2>/dev/null | grep -qF " $1 $(md5sum -- "$1" 2>/dev/null | cut -c1-32)"
}

# own PATH [SHA256]: the record of what hactl wrote, replaced as a whole so that a crash leaves the old one or the new one. Written before
# the file itself: a crash in between must never make hactl's own file look like somebody else's.
own() {
  {
    grep -v "  $1\$" "$STATE_DIR/owned" 2>/dev/null
    [ -z "$2" ] || printf '%s  %s\n' "$2" "$1"
  } >"$STATE_DIR/owned.new" && mv -f "$STATE_DIR/owned.new" "$STATE_DIR/owned"
}

# original PATH: what stood there before hactl's first change, kept for good: hactl remove gives it back.
original() {
  [ -e "$1" ] && ! grep -q "  $1\$" "$STATE_DIR/owned" 2>/dev/null || return 0
  o=$(original_of "$1")
  [ -e "$o" ] || {
    originals && link "$1" "$o" && cp -p -- "$1" "$o.new" && sync "$o.new" && mv -f "$o.new" "$o"
  }
}

# keep PATH COPY: remembers what stands at PATH, once a run.
keep() {
  grep -q "^file . $1 " "$THIS_RUN/previous/record" 2>/dev/null && return
  if [ -e "$1" ]; then
    link "$1" "$2" && cp -p -- "$1" "$2" || return 1
    printf 'file + %s %s\n' "$1" "$2"
  else
    printf 'file - %s -\n' "$1"
  fi >>"$THIS_RUN/previous/record" || return 1
  original "$1" || return 1
  [ -e "$THIS_RUN/previous/owned" ] || { [ ! -e "$STATE_DIR/owned" ] && : >"$THIS_RUN/previous/owned"; } ||
    cp -p "$STATE_DIR/owned" "$THIS_RUN/previous/owned"
}

# remember_unit UNIT: how it is now, for this run's own way back and for hactl remove.
remember_unit() {
  active=$(systemctl is-active "$1" 2>/dev/null || :)
  at_boot=$(systemctl is-enabled "$1" 2>/dev/null | grep . || echo unknown)
  # What it was before hactl's first change, kept for good: hactl remove gives it back. With files of hactl's there it is too late for that.
  [ -e "$STATE_DIR/owned" ] || grep -q "^$1 " "$STATE_DIR/original/units" 2>/dev/null || {
    originals && echo "$1 $active $at_boot" >>"$STATE_DIR/original/units"
  } || fail "service/$1" 'how it was could not be noted (disk full?)'
  grep -q "^unit $1 " "$THIS_RUN/previous/record" 2>/dev/null ||
    echo "unit $1 $active $at_boot $(cat "$STATE_DIR/loaded/$1" 2>/dev/null)" >>"$THIS_RUN/previous/record" ||
    fail "service/$1" 'how it was could not be noted (disk full?)'
}
