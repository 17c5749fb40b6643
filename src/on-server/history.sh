# The history of a server: a whole copy of hactl's files per change, for root only.
# needs: report.sh
# given: STATE_DIR KEPT_ENTRIES

history_full() {
  rm -rf "$STATE_DIR/history/.new"
  printf '@@fail history the history could not be written (disk full?)\n'
  exit 1
}

# record_entry ID META: copies every file that hactl owns. A half-written entry is never seen, because the last step is a rename.
record_entry() {
  h="$STATE_DIR/history"
  new="$h/.new"
  umask 077
  rm -rf "$new"
  mkdir -p "$new/files" || history_full
  while read -r _ path; do
    [ -f "$path" ] || continue
    name=$(printf %s "$path" | tr / _)
    cp -p -- "$path" "$new/files/$name" && echo "$(stat -c '%a %U %G' -- "$path") $name $path" >>"$new/manifest" || history_full
  done <"$STATE_DIR/owned"
  cp -- "$STATE_DIR/owned" "$new/sums" || history_full
  printf '%s\n' "$2" >"$new/meta.json" || history_full
  rm -rf "${h:?}/$1"
  mv "$new" "$h/$1" || history_full
  # shellcheck disable=SC2012 # Ids of runs: letters, digits and dashes.
  ls -1 "$h" | sort -r | tail -n +$((KEPT_ENTRIES + 1)) | while read -r old; do rm -rf "${h:?}/$old"; done
}

# announce FOLDER META: what a run leaves in its own folder before it changes anything, so that the next one can record it.
announce() { printf '%s\n' "$2" >"$1/entry.new" && mv -f "$1/entry.new" "$1/entry.json"; }

# settle_runs: clears away what dead runs left. The last of them that changed this server and was not put back is recorded in its own name:
# what it did stands, and somebody has just seen that it is whole.
settle_runs() {
  last=
  for d in "$STATE_DIR"/runs/*; do
    [ -s "$d/entry.json" ] && [ -e "$d/previous/record" ] && [ ! -e "$d/undone" ] && last=$d
  done
  [ -z "$last" ] || record_entry "${last##*/}" "$(cat "$last/entry.json")"
  rm -rf "$STATE_DIR/runs"
}

# Every entry's meta.json in one line, oldest first, and after it a line per file: its checksum and its path.
list_history() {
  for f in "$STATE_DIR"/history/*/meta.json; do
    [ -f "$f" ] && cat "$f" && cat "${f%/*}/sums" 2>/dev/null
  done
  return 0
}

# print_snapshot ID: the files of the newest entry that is not newer than ID: what this server had then.
print_snapshot() {
  found=
  for d in "$STATE_DIR"/history/*/; do
    name=${d%/}
    name=${name##*/}
    [ -f "$d/manifest" ] || continue
    # Ids sort as text; sort(1) in the C locale decides, dash has no < for strings.
    [ "$(printf '%s\n%s\n' "$name" "$1" | sort | head -n 1)" = "$name" ] && found=$name
  done
  if [ -n "$found" ]; then
    echo "entry $found"
    while read -r mode owner group name path; do
      printf 'file %s %s %s %s ' "$mode" "$owner" "$group" "$path"
      base64 -w 0 <"$STATE_DIR/history/$found/files/$name"
      echo
    done <"$STATE_DIR/history/$found/manifest"
  fi
  echo '@@end'
}
