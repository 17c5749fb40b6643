# Makes prepared changes live on one server: files by rename, then the services. Each daemon must itself show that it runs the new file.
# needs: report.sh alone.sh hold.sh record.sh companion.sh
# given: THIS_RUN PREVIOUS_IN_RUN UNDONE_IN_RUN ORIGINAL_SYSCTLS FILE_CHANGED_STATUS OWN_TOOLS PROGRAM_DIR

# A lost connection must not stop a switch half way: it goes on here to its end.
trap '' PIPE HUP
units_read=

begin_switch() {
  umask 077
  mkdir -p "$THIS_RUN/$PREVIOUS_IN_RUN" "$LOADED_DIR"
  umask 022
  [ ! -e "$THIS_RUN/$UNDONE_IN_RUN" ] || fail run 'this run was already undone'
}

# unchanged ID PATH SHA256: the file must be as it was when the plan was made. An empty SHA256 means that it did not exist.
unchanged() {
  [ -n "$3" ] || [ -e "$2" ] || return 0
  [ "$(sum "$2")" = "$3" ] || { [ -z "$3" ] && pristine "$2"; } || {
    printf '@@fail %s changed since hactl looked at it\n' "$1"
    exit "$FILE_CHANGED_STATUS"
  }
}

# put_file ID TITLE PATH STAGED PREVIOUS OWNER:GROUP MODE
put_file() {
  step "$1" "$2"
  keep "$3" "$5" || fail "$1" 'the old file could not be kept (disk full?)'
  [ -d "${3%/*}" ] || mkdir -p "${3%/*}"
  new="$3.hactl-new"
  install -o "${6%:*}" -g "${6#*:}" -m "$7" -- "$4" "$new" && sync "$new" || {
    rm -f "$new"
    fail "$1" 'could not be written (disk full?)'
  }
  case $3 in /etc/systemd/*) units_read= ;; esac
  own "$3" "$(sum "$new")" && mv -f "$new" "$3" || fail "$1" 'could not be renamed (disk full?)'
  case $3 in /etc/tmpfiles.d/*) systemd-tmpfiles --create "$3" || fail "$1" 'systemd-tmpfiles failed' ;; esac
  done_ "$1"
}

# own_file ID TITLE PATH PREVIOUS OWNER:GROUP MODE SHA256
own_file() {
  step "$1" "$2"
  keep "$3" "$4" || fail "$1" 'the old file could not be kept (disk full?)'
  chown "$5" "$3" && chmod "$6" "$3" && own "$3" "$7" || fail "$1" 'chown or chmod failed'
  done_ "$1"
}

# remove_file ID TITLE PATH PREVIOUS
remove_file() {
  step "$1" "$2"
  keep "$3" "$4" || fail "$1" 'the old file could not be kept (disk full?)'
  case $3 in "$OWN_TOOLS"*) "$3" close >/dev/null 2>&1 ;; esac
  rm -f "$3" && own "$3" '' || fail "$1" 'could not be removed'
  case $3 in "$PROGRAM_DIR"/*) rmdir "$PROGRAM_DIR" 2>/dev/null ;; esac
  done_ "$1"
}

# put_sysctl ID TITLE KEY VALUE BEFORE
put_sysctl() {
  step "$1" "$2"
  originals
  has_line "$ORIGINAL_SYSCTLS" "$3" || { echo "$3 $5" >>"$ORIGINAL_SYSCTLS" && sync "$ORIGINAL_SYSCTLS"; }
  has_line "$THIS_RUN/$RECORD_IN_RUN" "sysctl $3" || { echo "sysctl $3 $5" >>"$THIS_RUN/$RECORD_IN_RUN" && sync "$THIS_RUN/$RECORD_IN_RUN"; } ||
    fail "$1" 'its previous state could not be recorded (disk full?)'
  sysctl -q -w "$3=$4" || fail "$1" 'sysctl refused the value'
  done_ "$1"
}

# read_units: once for all changed drop-ins.
read_units() {
  [ -n "$units_read" ] || systemctl daemon-reload || return
  units_read=yes
}

# open_tool ID TITLE SCRIPT
open_tool() {
  step "$1" "$2"
  read_units
  "$3" open 2>&1 || fail "$1" "$3 open failed"
  units_read=yes
  done_ "$1"
}

# service_calls BEFORE_RELOAD LOADED STARTED: calls, as text, for reload_unit and start_unit: what to do before a reload, and how the daemon
# itself, not systemctl, shows that it runs what is on disk. LOADED and STARTED end with status 0, or print why not.
service_calls() { call_before_reload=$1 call_loaded=$2 call_started=$3; }

# service_failed ID UNIT REASON
service_failed() {
  journalctl -q -n 8 -o cat -u "$2"
  fail "$1" "$3"
}

# An installation in this run has usually enabled the unit already, and enabling it again costs a second.
enable_unit() {
  systemctl is-enabled --quiet "$2" || systemctl enable --quiet "$2" 2>&1 || fail "$1" 'systemctl enable failed'
}

reload_unit() {
  eval "$call_before_reload"
  systemctl reload "$2" 2>&1 || service_failed "$1" "$2" 'systemctl reload failed'
  eval "$call_loaded" || service_failed "$1" "$2" 'it was told to reload, but does not run the new configuration'
}

# A start does nothing where the unit has started by itself since the look, and such a unit runs the old configuration.
start_unit() {
  if systemctl is-active --quiet "$2"; then
    reload_unit "$1" "$2"
    return
  fi
  release "$2"
  systemctl reset-failed "$2" 2>/dev/null
  systemctl start "$2" 2>&1 || service_failed "$1" "$2" 'systemctl start failed'
  systemctl is-active --quiet "$2" || service_failed "$1" "$2" 'it is not active after its start'
  eval "$call_started" || service_failed "$1" "$2" 'it started, but does not answer as it should'
}

# stamp ID UNIT HASH: records what the unit has loaded.
stamp() {
  printf '%s\n' "$3" >"$LOADED_DIR/$2" || fail "$1" 'what it has loaded could not be recorded (disk full?)'
}
