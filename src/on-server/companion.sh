# Units of hactl's own that run beside a service.

# settle_companion UNIT COMPANION: systemd starts a companion together with its service, and a service that runs already has got none. One whose
# unit file is gone still counts as active, and has no command left that its stop would run. Ends with 1 where it does not start.
settle_companion() {
  if [ "$(systemctl show -p LoadState --value "$2")" = loaded ]; then
    ! systemctl is-active --quiet "$1" || systemctl start "$2"
  else
    systemctl stop "$2" 2>/dev/null || :
  fi
}
