# What hactl keeps of a server between runs (docs/server-state.md): how its records are read, and what its copies are called. Fields are
# compared whole: what stands in a path is no pattern.
# given: OWNED ORIGINAL_DIR

# line_with FILE WORDS: its first line that is WORDS, or WORDS, a blank and more.
line_with() {
  [ -r "$1" ] || return 1
  while IFS= read -r kept_line || [ -n "$kept_line" ]; do
    case $kept_line in
      "$2" | "$2 "*)
        printf '%s\n' "$kept_line"
        return 0
        ;;
    esac
  done <"$1"
  return 1
}

has_line() { line_with "$1" "$2" >/dev/null; }

# names_path FILE PATH: whether PATH stands in a file of "SHA256  PATH" lines.
names_path() {
  [ -r "$1" ] || return 1
  while IFS= read -r kept_line || [ -n "$kept_line" ]; do
    [ "${kept_line#*  }" != "$2" ] || return 0
  done <"$1"
  return 1
}

# owns PATH: hactl wrote what stands there.
owns() { names_path "$OWNED" "$1"; }

# lines_but_of PATH: hactl's record without that path; fails where not all of it could be written.
lines_but_of() {
  [ ! -r "$OWNED" ] || while IFS= read -r kept_line || [ -n "$kept_line" ]; do
    [ "${kept_line#*  }" = "$1" ] || printf '%s\n' "$kept_line" || return
  done <"$OWNED"
}

# copy_name PATH: no two paths share one.
copy_name() {
  path_sum=$(printf %s "$1" | sha256sum)
  printf '%s-%s' "${path_sum%% *}" "${1##*/}"
}

# original_of PATH: where a file that hactl replaced is kept for good.
original_of() { printf '%s/%s' "$ORIGINAL_DIR" "$(copy_name "$1")"; }

# The folder of those copies: for root only.
originals() { [ -d "$ORIGINAL_DIR" ] || mkdir -m 0700 "$ORIGINAL_DIR"; }
