# The format of what hactl keeps on a server (docs/server-state.md). The run that holds the lock converts an older format. It may be cut off
# anywhere: the number is written last, and everything before that may be done again.
# needs: state.sh
# given: FORMAT GIVEN_BACK HISTORY_DIR RUNS_DIR RECORD_IN_RUN OWNED_IN_RUN STATE_FORMAT NEWER_FORMAT_STATUS UNCONVERTED_STATUS HACTL_VERSION

# Prints the number of the state's format: 1 where there is none, nothing where it cannot be read.
format_number() {
  if [ -e "$FORMAT" ]; then sed -n 's/^format \([0-9]\{1,6\}\)$/\1/p' "$FORMAT"; else echo 1; fi
}

# ready_state: returns NEWER_FORMAT_STATUS where a newer version wrote the state, and UNCONVERTED_STATUS where there is no room to convert.
ready_state() {
  number=$(format_number)
  [ -n "$number" ] && [ "$number" -le "$STATE_FORMAT" ] || {
    cat "$FORMAT"
    return "$NEWER_FORMAT_STATUS"
  }
  [ "$number" -lt "$STATE_FORMAT" ] || has_old_names || return 0
  name_originals_anew && write_format || return "$UNCONVERTED_STATUS"
}

# Whether a version without format numbers was at work since: the copies that it made have the names of format 1.
has_old_names() {
  for old in "$ORIGINAL_DIR"/_*; do [ ! -e "$old" ] || return 0; done
  return 1
}

write_format() {
  printf 'format %s\nhactl %s\n' "$STATE_FORMAT" "$HACTL_VERSION" >"$FORMAT.new" && sync "$FORMAT.new" && mv -f "$FORMAT.new" "$FORMAT"
}

# Prints every path that a record here names.
known_paths() {
  for kept in "$OWNED" "$GIVEN_BACK" "$HISTORY_DIR"/*/sums "$RUNS_DIR"/*/"$OWNED_IN_RUN"; do
    [ ! -f "$kept" ] || sed 's/^[^ ]*  //' "$kept"
  done
  for kept in "$RUNS_DIR"/*/"$RECORD_IN_RUN"; do
    [ ! -f "$kept" ] || sed -n 's/^file [+-] \([^ ]*\) .*/\1/p' "$kept"
  done
}

# name_copy OLD PATH: gives the copy a second name, which needs no room. The link's target gets its name first, as when the copy was made.
name_copy() {
  new=$(original_of "$2")
  [ ! -e "$1.link" ] || [ -e "$new.link" ] || ln -- "$1.link" "$new.link" || return
  [ -e "$new" ] || ln -- "$1" "$new"
}

# Format 1 made the names of originals from their paths with "_" for "/". Where two paths share one copy, each of them gets it, as in format 1.
name_originals_anew() {
  [ -d "$ORIGINAL_DIR" ] || return 0
  known_paths | sort -u | while IFS= read -r path; do
    case $path in /*) ;; *) continue ;; esac
    old=$ORIGINAL_DIR/$(printf %s "$path" | tr / _)
    [ ! -e "$old" ] || name_copy "$old" "$path" || exit 1
  done || return
  # Paths that no record names any more have no "_", except those of certificates.
  for old in "$ORIGINAL_DIR"/_*; do
    case $old in *.link | *.new) continue ;; esac
    [ -e "$old" ] || continue
    [ "$(stat -c %h "$old")" -gt 1 ] || name_copy "$old" "$(printf %s "${old##*/}" | tr _ /)" || return
  done
  rm -f "$ORIGINAL_DIR"/_*
}
