# How a script reports its progress: lines that begin with "@@", which src/engine/apply/report.ts reads.
# given: STOPPING_STATUS

# step ID TITLE: a step begins.
step() { printf '@@step %s %s\n' "$1" "$2"; }

# done_ ID: it is done.
done_() { printf '@@done %s\n' "$1"; }

# note TEXT: shows TEXT to the operator at once.
note() { printf '@@note %s\n' "$1"; }

# systemd starts and reloads nothing once a shutdown has started (systemctl(1), is-system-running).
unless_stopping() { [ "$(systemctl is-system-running 2>/dev/null)" != stopping ] || exit "$STOPPING_STATUS"; }

# fail ID REASON: ends the script.
fail() {
  printf '@@fail %s %s\n' "$1" "$2"
  unless_stopping
  exit 1
}
