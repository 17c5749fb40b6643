# keepalived's track files: haproxy's state and planned hand-overs reach keepalived through them without polling. keepalived watches the folder
# with inotify and sees a rename (IN_MOVE), so every write is a temporary file that is renamed over the old one.
# given: TRACK_DIR

# write_tracker NAME VALUE: the file has its mode whatever the umask of the shell that runs this is. Whoever may write to it can move the addresses.
write_tracker() {
  temp="$TRACK_DIR/.$1.$$"
  (umask 022 && echo "$2" >"$temp") && mv -f "$temp" "$TRACK_DIR/$1"
}

make_track_dir() { [ -d "$TRACK_DIR" ] || mkdir -m 755 "$TRACK_DIR"; }

# Makes the missing track files, and does not change existing ones. keepalived's own init_file cannot do it: 2.2.8 to 2.3.2 write its value
# over an existing file at every start (keepalived commit 516032ec, fixed by pull request 2577), so that a drain is lost and
# haproxy_down says that a running haproxy is down. haproxy counts as down until systemd says that it is up.
make_missing_trackers() {
  make_track_dir
  if [ ! -e "$TRACK_DIR/haproxy_down" ]; then
    if systemctl --quiet is-active haproxy.service; then
      write_tracker haproxy_down 0
    elif [ ! -e "$TRACK_DIR/haproxy_down" ]; then
      # Only where the file is still missing: if haproxy has started meanwhile, its hook has written it.
      write_tracker haproxy_down 1
    fi
  fi
  for name in haproxy_offset keepalived_offset drain; do
    [ -e "$TRACK_DIR/$name" ] || write_tracker "$name" 0
  done
}
