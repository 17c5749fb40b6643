# What hactl keeps on a server between runs (docs/server-state.md): how its records are read, and the names of its copies. Fields are compared as
# a whole: a path is never used as a pattern.
# given: OWNED ORIGINAL_DIR

# line_with FILE WORDS: prints the first line that is WORDS, or that begins with WORDS and a blank.
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

# names_path FILE PATH: whether PATH is in a file of "SHA256  PATH" lines.
names_path() {
  [ -r "$1" ] || return 1
  while IFS= read -r kept_line || [ -n "$kept_line" ]; do
    [ "${kept_line#*  }" != "$2" ] || return 0
  done <"$1"
  return 1
}

# owns PATH: whether hactl wrote the file.
owns() { names_path "$OWNED" "$1"; }

# lines_but_of PATH: prints hactl's record without that path. Fails where it could not print all of it.
lines_but_of() {
  [ ! -r "$OWNED" ] || while IFS= read -r kept_line || [ -n "$kept_line" ]; do
    [ "${kept_line#*  }" = "$1" ] || printf '%s\n' "$kept_line" || return
  done <"$OWNED"
}

# copy_name PATH: prints the name of the path's copies. No two paths share one.
copy_name() {
  path_sum=$(printf %s "$1" | sha256sum)
  printf '%s-%s' "${path_sum%% *}" "${1##*/}"
}

# original_of PATH: prints the path of the copy of a file that hactl replaced.
original_of() { printf '%s/%s' "$ORIGINAL_DIR" "$(copy_name "$1")"; }

# The folder of those copies: for root only.
originals() { [ -d "$ORIGINAL_DIR" ] || mkdir -m 0700 "$ORIGINAL_DIR"; }
