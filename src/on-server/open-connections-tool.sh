#!/bin/sh
# Starts the service that keeps open connections, or lets it load its files and itself anew. Connections that it keeps are kept. "close" stops it,
# and takes away what it has set up.
# usage: hactl-open-connections open|close
# needs: open-connections-loaded.sh
# given: OPEN_CONNECTIONS_PROGRAM

boot_link="/etc/systemd/system/multi-user.target.wants/$OPEN_CONNECTIONS_SERVICE"

case $1 in
  open)
    # Only for the next start of the machine: to make systemd read all units anew costs some 0.1 s.
    [ -L "$boot_link" ] || systemctl enable --quiet --no-reload "$OPEN_CONNECTIONS_SERVICE" || exit 1
    verb=start
    ! systemctl --quiet is-active "$OPEN_CONNECTIONS_SERVICE" || verb=reload
    # A service that failed again and again would not be started.
    systemctl reset-failed "$OPEN_CONNECTIONS_SERVICE" 2>/dev/null
    rm -f "$OPEN_CONNECTIONS_LOADED"
    systemctl "$verb" "$OPEN_CONNECTIONS_SERVICE" || {
      journalctl -q -n 5 -o cat -u "$OPEN_CONNECTIONS_SERVICE"
      exit 1
    }
    # It starts all the same where the kernel refuses its rules: keepalived waits for it.
    case $("$OPEN_CONNECTIONS_PROGRAM" status) in
      'rules missing'* | 'rules refused'* | '')
        journalctl -q -n 5 -o cat -u "$OPEN_CONNECTIONS_SERVICE"
        exit 1
        ;;
    esac
    : >"$OPEN_CONNECTIONS_LOADED"
    ;;
  close)
    # The unit's file may be gone already, and systemctl disable would then refuse.
    rm -f "$boot_link" "$OPEN_CONNECTIONS_LOADED"
    systemctl stop "$OPEN_CONNECTIONS_SERVICE" 2>/dev/null
    [ ! -x "$OPEN_CONNECTIONS_PROGRAM" ] || "$OPEN_CONNECTIONS_PROGRAM" disarm
    ;;
  *)
    sed -n 's/^# usage: /usage: /p' "$0" >&2
    exit 2
    ;;
esac
