# The timer that undoes a drill's disturbance without the controller.

# arm_undo UNIT SECONDS SCRIPT: starts the timer, and sees that it runs. Without AccuracySec it may fire up to a minute late (systemd.timer(5)).
arm_undo() {
  systemd-run --quiet --collect --unit="$1" --on-active="$2s" --timer-property=AccuracySec=100ms /bin/sh -c "$3" &&
    systemctl is-active --quiet "$1.timer"
}

# still_armed UNIT: ends the script where the timer has fired, because then there is no way back.
still_armed() {
  systemctl is-active --quiet "$1.timer" || {
    echo 'the undo timer has already fired: nothing was disturbed' >&2
    exit 1
  }
}
