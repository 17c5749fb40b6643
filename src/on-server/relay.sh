# Passes on to the controller what apt's method asks for, and waits for the answers.
# needs: carry.sh
# given: DOWNLOADS CARRIED_CONF METHOD ASKED_DIR BROUGHT_DIR RELAY_PID

# set_up_method TEXT CONF: TEXT is the method, CONF the text for apt.conf(5) that names it.
set_up_method() {
  rm -rf "$DOWNLOADS" && mkdir -p "$DOWNLOADS" && mkdir -m 0700 "$ASKED_DIR" "$BROUGHT_DIR" || exit 1
  printf %s "$1" >"$METHOD" && chmod 0755 "$METHOD" && printf '%s\n' "$2" >"$CARRIED_CONF"
}

# tell_why NAME ENDING LINE: tells apt's method why there is no file for the question NAME.
tell_why() {
  rm -f "$BROUGHT_DIR/$1.new"
  printf '%s\n' "$3" >"$BROUGHT_DIR/$1.why" && mv "$BROUGHT_DIR/$1.why" "$BROUGHT_DIR/$1.$2"
}

# Ends by itself when its output fails, because the connection is gone.
relay() {
  echo $$ >"$RELAY_PID" || exit 1
  trap 'rm -f "$RELAY_PID"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  echo @@ready
  i=0
  while [ -e "$RELAY_PID" ]; do
    for asked in "$ASKED_DIR"/*; do
      case $asked in *.new) continue ;; esac
      [ -f "$asked" ] || continue
      read -r url <"$asked" && rm -f "$asked" && echo "@@ask ${asked##*/} $url" || exit 1
    done
    i=$((i + 1))
    [ $((i % 20)) -ne 0 ] || echo @@alive || exit 1
    sleep 0.05
  done
}
