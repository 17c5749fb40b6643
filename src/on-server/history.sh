# The history of a server: a complete copy of hactl's files per change, for root only.
# needs: report.sh state.sh
# given: FORMAT HISTORY_DIR RUNS_DIR RECORD_IN_RUN ENTRY_IN_RUN UNDONE_IN_RUN KEPT_ENTRIES

history_full() {
  rm -rf "${HISTORY_DIR:?}/.new"
  printf '@@fail history the history could not be written (disk full?)\n'
  exit 1
}

# record_entry ID META: copies every file that hactl owns. A half-written entry is never seen, because the last step is a rename, and all of it
# is written out before.
record_entry() {
  new="$HISTORY_DIR/.new" entry_id=$1 meta=$2
  umask 077
  rm -rf "$new"
  mkdir -p "$new/files" || history_full
  set --
  while read -r _ path; do [ ! -f "$path" ] || set -- "$@" "$path"; done <"$OWNED"
  stats=
  [ $# -eq 0 ] || stats=$(stat -c '%a %U %G %n' -- "$@") || history_full
  while read -r mode owner group path; do
    [ -n "$path" ] || continue
    name=$(copy_name "$path")
    cp -p -- "$path" "$new/files/$name" && echo "$mode $owner $group $name $path" >>"$new/manifest" || history_full
  done <<STATS
$stats
STATS
  cp -- "$OWNED" "$new/sums" || history_full
  printf '%s\n' "$meta" >"$new/meta.json" || history_full
  find "$new" -type f -exec sync {} + || history_full
  rm -rf "${HISTORY_DIR:?}/$entry_id"
  mv "$new" "$HISTORY_DIR/$entry_id" || history_full
  # shellcheck disable=SC2012 # Ids of runs: letters, digits and dashes.
  ls -1 "$HISTORY_DIR" | sort -r | tail -n +$((KEPT_ENTRIES + 1)) | while read -r old; do rm -rf "${HISTORY_DIR:?}/$old"; done
}

# announce FOLDER META: writes META into the run's own folder before the run changes anything, so that the next run can record it.
announce() { printf '%s\n' "$2" >"$1/$ENTRY_IN_RUN.new" && sync "$1/$ENTRY_IN_RUN.new" && mv -f "$1/$ENTRY_IN_RUN.new" "$1/$ENTRY_IN_RUN"; }

# settle_runs: removes what dead runs left. The last of them that changed this server and was not undone is recorded in the history under its
# own id: its changes are in force, and this run has just seen that they are complete.
settle_runs() {
  last=
  for d in "$RUNS_DIR"/*; do
    [ -s "$d/$ENTRY_IN_RUN" ] && [ -e "$d/$RECORD_IN_RUN" ] && [ ! -e "$d/$UNDONE_IN_RUN" ] && last=$d
  done
  [ -z "$last" ] || record_entry "${last##*/}" "$(cat "$last/$ENTRY_IN_RUN")"
  rm -rf "$RUNS_DIR"
}

# Prints the format, each line behind "@@". Then each entry's meta.json in one line, oldest first, followed by a line per file: its checksum
# and its path.
list_history() {
  [ ! -e "$FORMAT" ] || sed 's/^/@@/' "$FORMAT"
  for f in "$HISTORY_DIR"/*/meta.json; do
    [ -f "$f" ] && cat "$f" && cat "${f%/*}/sums" 2>/dev/null
  done
  return 0
}

# has_own_copy NAME PATH: whether the copy NAME in files/ belongs to this path. In entries of format 1 two paths might share one name, and the
# later copy overwrote the earlier one.
has_own_copy() {
  case "
$shared
" in
    *"
$1
"*) grep -qxF "$(sha256sum <"$entry/files/$1" | cut -c1-64)  $2" "$entry/sums" ;;
  esac
}

# print_snapshot ID: prints the files of the newest entry that is not newer than ID. They are what this server had at that time.
print_snapshot() {
  found=
  for d in "$HISTORY_DIR"/*/; do
    name=${d%/}
    name=${name##*/}
    [ -f "$d/manifest" ] || continue
    # Ids sort as text; sort(1) in the C locale decides, dash has no < for strings.
    [ "$(printf '%s\n%s\n' "$name" "$1" | sort | head -n 1)" = "$name" ] && found=$name
  done
  if [ -n "$found" ]; then
    entry="$HISTORY_DIR/$found"
    shared=$(cut -d ' ' -f 4 "$entry/manifest" | sort | uniq -d)
    echo "entry $found"
    while read -r mode owner group name path; do
      has_own_copy "$name" "$path" || {
        echo "lost $path"
        continue
      }
      printf 'file %s %s %s %s ' "$mode" "$owner" "$group" "$path"
      base64 -w 0 <"$entry/files/$name"
      echo
    done <"$entry/manifest"
  fi
  echo '@@end'
}
