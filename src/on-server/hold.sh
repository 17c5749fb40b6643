# While its package is installed a unit must not start. This is a drop-in in systemd's run-time folder with a condition that is never met. Unlike
# a mask it lets the package enable its unit. Like a mask it is gone after a reboot.

hold_of() { printf '/run/systemd/system/%s.service.d/hactl-hold.conf' "$1"; }

# hold UNIT...: takes effect at the next daemon-reload.
hold() {
  for unit; do
    hold=$(hold_of "$unit")
    mkdir -p "${hold%/*}" && printf '[Unit]\nConditionPathExists=/nowhere\n' >"$hold"
  done
}

# release UNIT...: lets the units start again, also where an installation was cut off and left them held.
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
