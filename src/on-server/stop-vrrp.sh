# Stops the process of keepalived that speaks VRRP, and not its parent: it sends nothing more.

stop_vrrp_process() {
  main=$(systemctl show -p MainPID --value keepalived.service)
  # shellcheck disable=SC2046 # A list of process ids.
  kill -STOP $(cat "/proc/$main/task/$main/children")
}
