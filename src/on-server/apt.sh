# Runs apt-get, and reports why it failed.
# needs: report.sh hold.sh no-questions.sh
# given: UNITS INSTALLED LOCK_MUTEX LOCK_DIR DOWNLOADS CARRIED_CONF APT_LOCK_SECONDS

# begin_apt LOG: call it before all other functions here. apt-get's output goes to the file LOG. LC_ALL: hactl reads apt's messages.
begin_apt() {
  APT_LOG=$1
  ask_nothing
  export LC_ALL=C
  # This file exists where packages are brought to this server: it tells apt how to get them.
  if [ -e "$CARRIED_CONF" ]; then export APT_CONFIG="$CARRIED_CONF"; fi
}

# apt_get VERB WORD...: runs in a session of its own, because an interrupted run or a lost connection must not kill dpkg half way. A
# configuration file that was changed by hand stays as it is. Translations of descriptions are not needed. Every command leaves them out, so
# that apt does not rebuild its cache for each command.
apt_get() {
  verb=$1
  shift
  setsid -w apt-get "$verb" -q -o DPkg::Lock::Timeout="$APT_LOCK_SECONDS" -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Dir::Cache::archives="$DOWNLOADS" -o Acquire::Languages=none "$@"
}

# apt_install REPLACES WORD...: REPLACES is empty where nothing that is installed may be replaced by an older version.
apt_install() {
  replaces=$1
  shift
  apt_get install -y --no-install-recommends ${replaces:+--allow-downgrades} "$@"
}

# The reason why a repository failed is indented below its "Err:3 http://..."; E: and W: lines do not always repeat it.
apt_complaints() {
  awk '/^(E|W|dpkg): / || (err && sub(/^ +/, "")) { if (!seen[$0]++) print } { err = /^Err:/ }' "$APT_LOG" | tail -n 10 | grep . ||
    tail -n 15 "$APT_LOG"
}

# Tells the operator which process holds a lock of apt's now. apt itself waits for the lock.
# proc_locks(5): "1: POSIX  ADVISORY  WRITE PID MAJOR:MINOR:INODE START END"; a waiting one has an arrow before POSIX.
tell_lock() {
  for f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock; do
    [ -e "$f" ] && [ -r /proc/locks ] || continue
    inode=$(stat -c %i "$f")
    while read -r _ kind _ _ pid place _; do
      case "$kind $place" in
        "POSIX "*":$inode")
          note "waiting for $(cat "/proc/$pid/comm" 2>/dev/null || echo 'another process') (pid $pid), which holds apt's lock"
          return
          ;;
      esac
    done </proc/locks
  done
}

# The folder for downloads, apart from apt's own cache, which other programs may empty at any time.
downloads() {
  mkdir -p "$DOWNLOADS/partial" && chown _apt "$DOWNLOADS/partial" 2>/dev/null
  chmod 0700 "$DOWNLOADS/partial"
}

# Removes packages that were downloaded for an installation that was not done. It does nothing while a run holds the lock, because the packages
# are then that run's.
clear_downloads() (
  exec 9>"$LOCK_MUTEX" && flock -w 10 9 || exit 1
  [ -d "$LOCK_DIR" ] || rm -rf "$DOWNLOADS"
)

# tell_versions NAME...: the versions in the repositories of this server. apt-cache(8), madison: "haproxy | 2.6.12-1 | http://...".
tell_versions() {
  for name; do
    versions=$(apt-cache madison "$name" 2>/dev/null | while read -r _ _ version _; do printf ' %s' "$version"; done)
    echo "$name:${versions:- no version} in the repositories of this server"
  done
}

# refresh_lists strict|lenient: with strict, a mirror that does not answer is a failure and not only a note.
refresh_lists() {
  step apt/lists 'refresh the package lists'
  tell_lock
  i=0
  while :; do
    apt_get update -o APT::Get::List-Cleanup=false >"$APT_LOG" 2>&1
    rc=$?
    [ $rc -eq 0 ] && break
    # The lock of the lists, unlike dpkg's, has no timeout of its own.
    if grep -q 'Could not get lock' "$APT_LOG" && [ $i -lt $((APT_LOCK_SECONDS / 2)) ]; then
      sleep 2
      i=$((i + 1))
      continue
    fi
    apt_complaints
    fail apt/lists "apt-get update ended with status $rc"
  done
  # apt-get update calls a mirror that does not answer a warning (apt-get(8)).
  if grep -q '^W: Failed to fetch' "$APT_LOG"; then
    if [ "$1" = strict ]; then
      apt_complaints
      fail apt/lists 'a mirror does not answer: its versions are not known'
    fi
    note "not every mirror answered: $(grep -m 1 '^W: Failed to fetch' "$APT_LOG")"
  fi
  done_ apt/lists
}

# download_packages FRESH-LISTS TITLE NAMES REPLACES WORD...: downloads, and installs nothing. A list that is some hours old may name a file
# that its mirror has replaced since. The list is refreshed before this counts as a failure. FRESH-LISTS is empty where the lists may be old.
download_packages() {
  fresh_lists=$1 title=$2 names=$3 replaced=$4
  shift 4
  step apt/download "$title"
  tell_lock
  apt_install "$replaced" --download-only "$@" >>"$APT_LOG" 2>&1
  rc=$?
  if [ $rc -ne 0 ] && [ -z "$fresh_lists" ]; then
    refresh_lists lenient
    apt_install "$replaced" --download-only "$@" >>"$APT_LOG" 2>&1
    rc=$?
  fi
  if [ $rc -ne 0 ]; then
    apt_complaints
    # shellcheck disable=SC2086 # NAMES is a list of package names.
    tell_versions $names
    fail apt/download "apt-get cannot get $(printf '%s ' "$@")"
  fi
  done_ apt/download
}

# begin_installation NAME...: packages that are not installed yet are recorded as hactl's before the installation. One that is cut off half way
# is then still hactl's, and a package that somebody else left half installed never becomes hactl's.
begin_installation() {
  fresh=$*
  for name; do absent "$name" && ! grep -qxF "$name" "$INSTALLED" 2>/dev/null && echo "$name" >>"$INSTALLED" && sync "$INSTALLED"; done
}

absent() {
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  case $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) in
    '' | not-installed | config-files) ;;
    *) return 1 ;;
  esac
}

disown_absent() {
  for name in $fresh; do
    absent "$name" && {
      grep -vxF "$name" "$INSTALLED" >"$INSTALLED.new"
      sync "$INSTALLED.new" && mv -f "$INSTALLED.new" "$INSTALLED"
    }
  done
}

apt_failed() {
  apt_complaints
  # shellcheck disable=SC2086 # A list of unit names.
  release $UNITS
  disown_absent
  rm -rf "$DOWNLOADS"
  fail "$1" "apt-get ended with status $2"
}

finish_dpkg() {
  step package/dpkg 'finish the interrupted package installation'
  dpkg --force-confdef --force-confold --configure -a >>"$APT_LOG" 2>&1 || apt_failed package/dpkg $?
  done_ package/dpkg
}

# install_packages ID REPLACES WORD...: one apt-get for all packages, whose units are held. ID: the step that a failure belongs to.
install_packages() {
  id=$1
  shift
  tell_lock
  apt_install "$@" >>"$APT_LOG" 2>&1 || apt_failed "$id" $?
  # shellcheck disable=SC2086 # A list of unit names.
  release $UNITS
  rm -rf "$DOWNLOADS"
}

# installed_as ID NAME: reports the version that is installed now, and ends the step.
installed_as() {
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  dpkg-query -W -f='${Version}\n' "$2"
  done_ "$1"
}
