# Removes from one server what hactl put there, and gives back what was there before. A removal that was cut off is done again.
# needs: report.sh alone.sh hold.sh links.sh state.sh companion.sh no-questions.sh
# given: STATE_DIR FORMAT LOCK_DIR LOCK_MUTEX INSTALLED ORIGINAL_UNITS ORIGINAL_SYSCTLS GIVEN_BACK THEIRS THEIR_LINKS REMOVE_LOG DOWNLOADS OWN_TOOLS PROGRAM_DIR
# given: UNITS SHIPPED_CONFIGS APT_LOCK_SECONDS

trap '' PIPE HUP
ask_nothing

gives_back() { [ -e "$(original_of "$1")" ]; }

# by_hactl NAME: hactl installed this package.
by_hactl() { grep -qxF "$1" "$INSTALLED" 2>/dev/null; }

# The state of a unit before hactl's first change: "haproxy active enabled". Older versions of hactl kept no record of it.
was_stopped() {
  case $(line_with "$ORIGINAL_UNITS" "$1") in "$1 inactive "* | "$1 failed "* | "$1 deactivating "*) ;; *) return 1 ;; esac
}
was_disabled() {
  case $(line_with "$ORIGINAL_UNITS" "$1") in *" disabled") ;; *) return 1 ;; esac
}

# stop_first UNIT CONFIG: stops the service that holds the addresses, so that they have left before any other service stops.
stop_first() {
  step "service/$1" "stop $1"
  owns "$2" && { was_stopped "$1" || ! gives_back "$2"; } && systemctl stop "$1" 2>/dev/null
  done_ "service/$1"
}

# give_back PATH STEP: puts the original back, link or file.
give_back() {
  original=$(original_of "$1")
  cp -p -- "$original" "$1.hactl-new" && linked "$original" "$1.hactl-new" && mv -f "$1.hactl-new" "$1" || fail "$2" "$1 could not be restored"
}

# What scripts of hactl's own have opened is closed while the files that they use are there.
close_own_tools() {
  [ ! -e "$OWNED" ] || while read -r _ path; do
    case "$path" in "$OWN_TOOLS"*) [ ! -x "$path" ] || "$path" close >/dev/null 2>&1 </dev/null ;; esac
  done <"$OWNED"
}

# Files of hactl's record are removed or become what they were. One that was edited by hand since is kept beside it as .edited.
give_files_back() {
  step files 'remove files, and restore what was there before'
  close_own_tools
  [ -e "$OWNED" ] && while read -r sum path; do
    original=$(original_of "$path")
    if [ -e "$path" ] && [ "$(sha256sum -- "$path" | cut -c1-64)" != "$sum" ] && ! cmp -s -- "$path" "$original"; then
      cp -p -- "$path" "$path.edited"
      echo "$path was edited by hand: kept as $path.edited"
    fi
    if [ -e "$original" ]; then
      [ -d "${path%/*}" ] || mkdir -p -- "${path%/*}"
      give_back "$path" files
    else
      rm -f -- "$path"
    fi
    # The folders of drop-ins and programs were hactl's too. Other folders, even empty ones, belong to the system.
    case "$path" in /etc/systemd/system/*.service.d/* | "$PROGRAM_DIR"/*) rmdir -- "${path%/*}" 2>/dev/null ;; esac
  done <"$OWNED"
  rm -f /etc/tmpfiles.d/hactl-drain.conf
  # When a removal that was cut off later is run again, it must not do this again: what it gave back may have been removed with its package.
  [ ! -e "$OWNED" ] || {
    rm -f "$THEIRS" && mv -f "$OWNED" "$GIVEN_BACK"
  }
  done_ files
}

give_sysctls_back() {
  [ -s "$ORIGINAL_SYSCTLS" ] || return 0
  step sysctl 'restore kernel parameters'
  while read -r key value; do [ -n "$value" ] && sysctl -q -w "$key=$value"; done <"$ORIGINAL_SYSCTLS"
  done_ sysctl
}

# give_services_back TITLE FOLDER [UNIT CONFIG COMPANION]...: makes the services run the present files. FOLDER is the one that a service watched.
give_services_back() {
  folder=$2
  step services "$1"
  shift 2
  # An installation that was cut off may have left this: no unit would start.
  # shellcheck disable=SC2086 # A list of unit names.
  release $UNITS
  systemctl daemon-reload
  while [ $# -gt 0 ]; do
    by_hactl "$1" || give_service_back "$1" "$2"
    settle_companion "$1" "$3"
    shift 3
  done
  rm -rf "$folder" "$DOWNLOADS"
  done_ services
}

# give_service_back UNIT CONFIG
give_service_back() {
  was_disabled "$1" && systemctl disable --quiet "$1" 2>/dev/null
  systemctl is-active --quiet "$1" || return 0
  if [ -s "$2" ] && ! was_stopped "$1"; then systemctl reload "$1"; else systemctl stop "$1"; fi
}

known() {
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  case $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) in '' | not-installed) return 1 ;; esac
}

# conffiles NAME...: "PATH MD5SUM" lines.
conffiles() {
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  dpkg-query -W -f='${Conffiles}\n' "$@" 2>/dev/null
}

md5_of() { md5sum -- "$1" | cut -c1-32; }

# A purge removes its package's configuration files, also where somebody else's file was there first. Once it has started, nothing distinguishes
# them.
note_theirs() {
  # Where a first deploy installed the package and came no further, the file in place of the package's is somebody else's as well.
  for own in $SHIPPED_CONFIGS; do
    if [ ! -e "$THEIRS" ] && [ -f "$own" ] && ! names_path "$GIVEN_BACK" "$own" &&
      ! conffiles "$@" | grep -qF " $own $(md5_of "$own")"; then
      originals && cp -p -- "$own" "$(original_of "$own")" && printf 'own  %s\n' "$own" >>"$GIVEN_BACK" ||
        fail packages "$own could not be kept (disk full?)"
    fi
  done
  [ -e "$THEIRS" ] || {
    [ -e "$GIVEN_BACK" ] && while read -r _ path; do
      original=$(original_of "$path")
      [ -e "$original" ] || continue
      conffiles "$@" | grep -qF " $path $(md5_of "$original")" ||
        echo "$(stat -c '%a %u:%g' -- "${path%/*}" 2>/dev/null || echo 755 0:0) $path"
    done <"$GIVEN_BACK" >"$THEIRS.new" && mv -f "$THEIRS.new" "$THEIRS"
  }
  # dpkg would remove the target of a link in place of a conffile, which is not dpkg's: links are put aside meanwhile.
  conffiles "$@" | while read -r path _; do
    [ ! -L "$path" ] || {
      printf '%s %s\n' "$path" "$(readlink -- "$path")" >>"$THEIR_LINKS" && sync "$THEIR_LINKS" && rm -f -- "$path"
    } || exit 1
  done || fail packages 'the links in place of configuration files could not be recorded (disk full?)'
}

# purge NAME...
purge() {
  log="$REMOVE_LOG"
  step packages "remove $*"
  # apt-get refuses to work where dpkg was cut off. While another process uses dpkg this fails, and apt-get waits for that process.
  for f in /var/lib/dpkg/updates/[0-9]*; do
    [ ! -e "$f" ] || {
      setsid -w dpkg --force-confdef --force-confold --configure -a >"$log" 2>&1
      break
    }
  done
  note_theirs "$@"
  systemctl disable --quiet "$@" 2>/dev/null
  setsid -w apt-get purge -y -q -o DPkg::Lock::Timeout="$APT_LOCK_SECONDS" -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 || {
    tail -n 10 "$log"
    fail packages 'apt-get purge failed'
  }
  # A package whose removal was cut off is only removed by that: its configuration files stay.
  # shellcheck disable=SC2016 # dpkg-query's own variables.
  left=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^config-files //p')
  # shellcheck disable=SC2086 # A list of package names.
  [ -z "$left" ] || setsid -w dpkg --purge $left >>"$log" 2>&1 || {
    tail -n 10 "$log"
    fail packages 'dpkg --purge failed'
  }
  done_ packages
}

# Removes the packages that hactl installed. Their dependencies stay: apt-get autoremove removes them.
purge_packages() {
  for name in $UNITS; do by_hactl "$name" && known "$name" && set -- "$@" "$name"; done
  [ $# -eq 0 ] || purge "$@"
}

# Gives back files of somebody else in place of the packages' files, with their folders.
give_theirs_back() {
  [ -e "$THEIRS" ] && while read -r mode owner path; do
    folder=${path%/*}
    [ -d "$folder" ] || { mkdir -p -- "$folder" && chown "$owner" "$folder" && chmod "$mode" "$folder"; }
    give_back "$path" packages
  done <"$THEIRS"
  [ -e "$THEIR_LINKS" ] && while read -r path target; do
    mkdir -p -- "${path%/*}" && ln -sfT -- "$target" "$path" || fail packages "$path could not be restored: it was a link to $target"
    rm -f -- "$path.dpkg-new"
  done <"$THEIR_LINKS"
  return 0
}

# The lock is released later. The files that show unfinished work are removed last.
forget_server() {
  step state 'forget this server'
  find "$STATE_DIR" -mindepth 1 -maxdepth 1 ! -path "$LOCK_DIR" ! -path "$LOCK_MUTEX" ! -path "$INSTALLED" \
    ! -path "$FORMAT" -exec rm -rf {} +
  rm -f "$INSTALLED"
  rm -f "$FORMAT"
  done_ state
}
