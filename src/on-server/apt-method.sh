#!/bin/sh
# hactl: the machine that runs hactl fetches what apt asks for, and the file arrives here over SSH. apt writes messages of "Header: value"
# lines and an empty line to this method; 600 asks for a file. It looks for an answer 20 times a second, as long as the relay runs.
# given: ASKED_DIR BROUGHT_DIR RELAY_PID
printf '100 Capabilities\nVersion: 1.0\nSingle-Instance: true\n\n'
n=0
failed() { printf '400 URI Failure\nURI: %s\nMessage: %s\n%s\n' "$uri" "$1" "$2"; }
bring() {
  n=$((n + 1))
  name=$$.$n
  printf '%s\n' "$uri" >"$ASKED_DIR/$name.new" && mv "$ASKED_DIR/$name.new" "$ASKED_DIR/$name" || {
    failed 'the request could not be written (disk full?)'
    return
  }
  while :; do
    [ -e "$BROUGHT_DIR/$name" ] && break
    [ -e "$BROUGHT_DIR/$name.failed" ] && {
      failed "$(cat "$BROUGHT_DIR/$name.failed")"
      return
    }
    [ -e "$BROUGHT_DIR/$name.later" ] && {
      failed "$(cat "$BROUGHT_DIR/$name.later")" "Transient-Failure: true
"
      return
    }
    relay=
    read -r relay <"$RELAY_PID"
    kill -0 "${relay:-none}" || {
      failed 'hactl, which fetches it, is no longer connected'
      return
    }
    sleep 0.05
  done 2>/dev/null
  mv -f "$BROUGHT_DIR/$name" "$file" || {
    failed 'the file could not be kept (disk full?)'
    return
  }
  sum=$(sha256sum <"$file")
  printf '201 URI Done\nURI: %s\nFilename: %s\nSize: %s\nSHA256-Hash: %s\n\n' "$uri" "$file" "$(stat -c %s "$file")" "${sum%% *}"
}
kind=
while IFS= read -r line; do
  case $line in
    'URI: '*) uri=${line#URI: } ;;
    'Filename: '*) file=${line#Filename: } ;;
    [0-9][0-9][0-9]' '*) kind=${line%% *} ;;
    '')
      [ "$kind" = 600 ] && bring
      kind=
      ;;
  esac
done
