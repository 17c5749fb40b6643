# While its package is installed a unit must not start: a drop-in of systemd's run-time folder with a condition that never holds. Unlike
# a mask it lets the package enable its unit; like one it is gone after a reboot.

hold_of() { printf '/run/systemd/system/%s.service.d/hactl-hold.conf' "$1"; }

# hold UNIT...: effective at the next daemon-reload.
hold() {
  for unit; do
    hold=$(hold_of "$unit")
    mkdir -p "${hold%/*}" && printf '[Unit]\nConditionPathExists=/nowhere\n' >"$hold"
  done
}

# release UNIT...: they may start again, also where an installation was cut off and left them held.
release() {
  held=
  for unit; do
    hold=$(hold_of "$unit")
    [ -e "$hold" ] || continue
    rm -f "$hold"
    rmdir "${hold%/*}" 2>/dev/null
    held=yes
  done
  [ -z "$held" ] || systemctl daemon-reload
}
