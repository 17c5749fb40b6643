# What an upgrade does on one server in addition to a deploy.
# needs: report.sh apt.sh
# given: DOWNLOADS UPGRADING

# Call it before outlook. apt-get's output goes to a file that is removed when the script ends, because this run has no folder here yet.
begin_outlook() {
  log=$(mktemp) || exit 1
  trap 'rm -f "$log"' EXIT
  begin_apt "$log"
}

# outlook NAMES WORD...: asks apt what it would do for these words, "haproxy=2.6.*"; installs nothing. Packages on hold (apt-mark(8), hold)
# are left out.
outlook() {
  names=$1
  shift
  step apt/outlook 'ask apt for newer versions'
  # shellcheck disable=SC2086 # A list of package names.
  held=$(apt-mark showhold $names 2>/dev/null)
  for word; do
    shift
    case "
$held
" in
      *"
${word%%=*}
"*) echo "@@held ${word%%=*}" ;;
      *) set -- "$@" "$word" ;;
    esac
  done
  if [ $# -gt 0 ]; then
    apt_install yes -s "$@" >"$APT_LOG" 2>&1 || {
      apt_complaints
      # shellcheck disable=SC2086 # A list of package names.
      tell_versions $names
      fail apt/outlook "apt-get cannot do this: $(printf '%s ' "$@")"
    }
  fi
  done_ apt/outlook
  grep -E '^(Inst|Remv) ' "$APT_LOG"
  if [ -e "$UPGRADING" ]; then echo "@@upgrading $(cat "$UPGRADING")"; fi
}

# unpack_trial ROOT: unpacks the downloaded programs beside the installed ones; from here on they are the ones that are called. Ends the script
# where they cannot run there: then the upgrade of the first server tries them.
unpack_trial() {
  umask 077
  mkdir -p "$1"
  umask 022
  # Programs do not start with a new libc and the old loader: then only the first server's own check tries them.
  for deb in "$DOWNLOADS"/libc6_*; do
    [ -e "$deb" ] || continue
    note 'the C library is replaced as well: the new versions cannot be tried before they are installed'
    exit 0
  done
  for deb in "$DOWNLOADS"/*.deb; do dpkg-deb -x "$deb" "$1" || fail apt/try "$deb cannot be unpacked (disk full?)"; done
  PATH=$1/usr/sbin:$1/usr/bin:$PATH
  LD_LIBRARY_PATH=$(find "$1" -name '*.so*' | sed 's|/[^/]*$||' | sort -u | tr '\n' ':')
  export PATH LD_LIBRARY_PATH
  for program in $UNITS; do
    "$program" -v >/dev/null 2>&1 || {
      note 'the new versions do not run beside the installed ones: the first server tests them'
      exit 0
    }
  done
}

# put_mark WORD: writes a mark before anything is changed on this server, so that a later run knows what to finish.
put_mark() { printf '%s\n' "$1" >"$UPGRADING.new" && sync "$UPGRADING.new" && mv -f "$UPGRADING.new" "$UPGRADING"; }

# stop_holder UNIT: stops the service that holds the addresses, so that a backup takes them over.
stop_holder() {
  step "service/$1-stop" "stop $1: a backup takes over"
  systemctl stop "$1" || fail "service/$1-stop" 'systemctl stop failed'
  done_ "service/$1-stop"
}

# start_again UNIT...: starts what is installed. An installation that was cut off leaves its units held: they would not start after a crash
# either.
start_again() {
  rc=0
  release "$@"
  for unit; do
    systemctl is-active --quiet "$unit" || systemctl start "$unit"
    systemctl is-active --quiet "$unit" || {
      echo "$unit is not active" >&2
      rc=1
    }
  done
  exit $rc
}
