# shellcheck shell=bash
# What the lab of containers and the lab of real kernels do alike. Sourced by both.
# given: root (the checkout), lab_command (how a person calls the lab), state and own_state (its folder, and the one where nothing else is said),
# state_setting (what says it), release (of mirror_lines)
# shellcheck disable=SC2154 # Who sources this file sets them.

# shellcheck disable=SC2034 # Used by who sources this file.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hactl-lab
range=198.18.0.0/15

# Engine, base image and address range are shared by every lab of the machine.
if [[ $EUID -eq 0 ]]; then shared=/run/hactl-lab; else shared=${XDG_RUNTIME_DIR:-/tmp}/hactl-lab-$EUID; fi

say() { printf 'lab: %s\n' "$*" >&2; }
# fail WHAT WHY FIX
fail() {
  printf 'lab: %s\n  why: %s\n  fix: %s\n' "$1" "$2" "$3" >&2
  exit 1
}
bad_usage() {
  printf 'lab: %s\n  fix: see %s --help\n' "$1" "$lab_command" >&2
  exit 2
}
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [[ $EUID -eq 0 ]]; then "$@"; else sudo -n "$@"; fi; }
quote() { local s=${1//\'/\'\\\'\'}; printf "'%s'" "$s"; }
json() { local s=${1//\\/\\\\}; printf '"%s"' "${s//\"/\\\"}"; }

trap 'printf "lab: stopped at line %s: %s\n  fix: run it again with: bash -x %s\n" "$LINENO" "$BASH_COMMAND" "$lab_command" >&2' ERR

# ---------------------------------------------------------------- signals

# What undoes an `up` that is interrupted; empty while nothing has to be undone.
undo=
interrupted() {
  # From here on a second signal changes nothing: what is undone would be left half done.
  trap '' INT TERM HUP
  trap - ERR
  set +e
  end_descendants
  say "interrupted by SIG$1"
  if [[ -n $undo ]]; then
    say "ending what was started"
    "$undo"
  fi
  exit $((128 + $(kill -l "$1")))
}
for signal in INT TERM HUP; do
  # shellcheck disable=SC2064 # The name of the signal is that of now, not of when it comes.
  trap "interrupted $signal" "$signal"
done

# The processes that this one started, and those that they started. What lives as long as the lab has a session of its own.
descendants() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v top="$$" '
    { pid = $1; sub(/.*\) /, ""); parent[pid] = $2; session[pid] = $4 }
    END {
      for (pid in parent) {
        if (session[pid] != session[top]) continue
        for (at = parent[pid]; at in parent && at != top;) at = parent[at]
        if (at == top) print pid
      }
    }'
}
end_descendants() {
  local pid pids i
  read -r -d '' -a pids < <(descendants)
  kill -s TERM "${pids[@]}" 2>/dev/null
  for ((i = 0; i < 100; i++)); do
    for pid in "${pids[@]}"; do
      [[ -z $(proc_start "$pid") ]] || { sleep 0.1; continue 2; }
    done
    return
  done
  kill -s KILL "${pids[@]}" 2>/dev/null
}

# bounded SECONDS COMMAND...: Ctrl+C reaches the command, too. For one that starts no others.
bounded() { timeout --foreground "$@"; }
# interruptible LOG COMMAND...: a signal ends it at once. bash itself would heed the signal only when the command has ended.
interruptible() {
  # What is said of the interrupt must not go to the log: only the command's own output does.
  "${@:2}" </dev/null >"$1" 2>&1 &
  wait "$!"
}

# run [whole] SECONDS LOG COMMAND...: bounded, quiet, and shows the end of its output when it fails. A signal waits for the end of what is run "whole".
run() {
  local whole='' limit log rc=0
  if [[ $1 == whole ]]; then
    whole=1
    shift
  fi
  limit=$1 log=$2
  shift 2
  if [[ -n $whole ]]; then timeout -k 5 "$limit" "$@" </dev/null >"$log" 2>&1 || rc=$?; else interruptible "$log" timeout -k 5 "$limit" "$@" || rc=$?; fi
  [[ $rc -eq 0 ]] && return 0
  tail -n 25 "$log" | sed 's/^/  | /' >&2
  [[ $rc -eq 124 ]] && say "the command did not end within ${limit} s: $*"
  return "$rc"
}

# One command at a time changes labs of this machine, whichever checkout it is from.
lock_wait=600
lock() {
  mkdir -p "$shared"
  exec 9>>"$shared/lock"
  if ! flock -n 9; then
    say "waiting for another lab command: $(cat "$shared/lock")"
    interruptible /dev/null flock -w "$lock_wait" 9 || fail "another lab command holds the lock: $(cat "$shared/lock")" "$shared/lock is still held after $lock_wait s" \
      "wait until that command ends, or find it with: fuser -v $shared/lock"
  fi
  printf '%s %s of %s, process %s\n' "$lab_command" "$command" "$root" "$$" >"$shared/lock"
}

# ---------------------------------------------------------------- the folder of a lab

# `down` removes the whole folder. It must be one that `up` found empty: the setting may name anything, such as a person's ~/.ssh.
# In a folder that is not the checkout's own, a file says whose it is.
owner() { cat "$state/.hactl-lab" 2>/dev/null || true; }
is_own_state() { [[ $state == "$own_state" || $(owner) == "$project of $root" ]]; }
claim_state() {
  local whose
  if ! is_own_state; then
    whose=$(owner)
    [[ -z $whose ]] || fail "$state is in use" "it is the folder of another lab: $whose" "set $state_setting to a folder of this lab's own, or leave it unset"
    # Scripts keep hactl's log there before there is a lab.
    [[ -z $(find "$state" -mindepth 1 -maxdepth 1 ! -name hactl 2>/dev/null) ]] ||
      fail "$state is not this lab's folder" "it has files in it, and no lab has made them" "set $state_setting to a folder that is empty or does not exist"
  fi
  mkdir -p "$state"
  echo "$project of $root" >"$state/.hactl-lab"
  # Keys and a password: git must not see them even where .gitignore forgets to say so.
  echo '*' >"$state/.gitignore"
}
remove_state() {
  [[ -e $state/.hactl-lab || -e $state/sudo_password ]] || return 0
  if is_own_state; then rm -rf -- "${state:?}"; else say "$state stays: this lab has not made it"; fi
}

# Only the first command pays for apt-get update, and only when something is missing.
apt_updated=
install() {
  [[ $# -eq 0 ]] && return 0
  have apt-get || fail "packages are missing: $*" "this machine has no apt-get" "install them by hand"
  as_root true 2>/dev/null || fail "packages are missing: $*" "only root can install them" "run as root: apt-get install $*"
  say "installing $*"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120)
  [[ $EUID -eq 0 ]] || apt=(sudo -n "${apt[@]}")
  if [[ -z $apt_updated ]]; then
    run 180 "$shared/apt.log" "${apt[@]}" update ||
      fail "apt-get update failed" "see above" "make apt-get update work on this machine, then run this again"
    apt_updated=1
  fi
  run whole 300 "$shared/apt.log" "${apt[@]}" install -y --no-install-recommends "$@" ||
    fail "apt-get cannot install $*" "see above" "install them by hand, then run this again"
}

# The start time tells a recorded process from a stranger with the same pid. One that has ended and was not waited for yet has none.
proc_start() { awk '{ sub(/.*\) /, ""); if ($1 != "Z") print $20 }' "/proc/$1/stat" 2>/dev/null || true; }

# Without it, whatever still polls a lab that is gone would send its packets out of this machine.
ensure_blackhole() {
  [[ -n $(ip -4 route show type blackhole "$range" 2>/dev/null) ]] && return 0
  if as_root ip route add blackhole "$range" metric 9999 2>/dev/null; then
    touch "$shared/blackhole"
  else
    say "the blackhole route for $range was not added (only root can): stop your pollers before you take the lab down"
  fi
}
# The last lab of either kind takes it away: called when its own network is gone.
remove_blackhole() {
  [[ -e $shared/blackhole ]] || return 0
  if ip netns list 2>/dev/null | grep -q '^hactl-kernel-'; then return 0; fi
  if have docker && [[ -n $(bounded 20 docker network ls -q --filter label=hactl.lab 2>/dev/null) ]]; then return 0; fi
  as_root ip route del blackhole "$range" metric 9999 2>/dev/null || true
  rm -f "$shared/blackhole"
}

# shellcheck disable=SC1091 # A file of the machine, which is not checked here.
host_codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}"); }

# The machine's own mirrors, rewritten for the lab's release: "URI SUITE COMPONENT" per line.
mirror_lines() {
  local from
  from=$(host_codename)
  have apt-get && [[ -n $from ]] || return 0
  # shellcheck disable=SC1091 # A file of the machine, which is not checked here.
  (. /etc/os-release && [[ ${ID:-} == debian ]]) || return 0
  # shellcheck disable=SC2016 # The variables are those of apt-get.
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk -v from="$from" -v to="$release" '
      { sub("/+$", "", $1) }
      $1 ~ /^https?:/ && $3 == "main" && ($2 == from || $2 == from "-updates" || $2 == from "-security") {
        sub("^" from, to, $2); if (!seen[$0]++) print }'
}

# Of such lines on stdin those that the mirrors have, as lines of sources.list. A release past its life loses -updates first; a missing suite would
# break every apt-get update.
available_lines() {
  local uri suite comp
  while read -r uri suite comp; do
    [[ -n $uri ]] || continue
    if bounded 30 /usr/lib/apt/apt-helper download-file "$uri/dists/$suite/InRelease" "$shared/inrelease" </dev/null >/dev/null 2>&1; then
      printf 'deb %s %s %s\n' "$uri" "$suite" "$comp"
    else
      say "apt source $suite is left out: the machine's mirror does not have it"
    fi
    rm -f "$shared/inrelease"
  done
}

# Only what decides whether the mirror can be reached and believed; the rest is the machine's taste.
apt_settings() {
  have apt-config || return 0
  apt-config dump | grep -E '^Acquire::((http|https)::(Proxy|CaInfo|CaPath|Verify|No-Cache|Pipeline)|Check-|Retries|ForceIPv)' |
    grep -v ' "";$' || true
  local p=${http_proxy:-${HTTP_PROXY:-}}
  [[ -z $p || $p == *localhost* || $p == *127.0.0.1* ]] || printf 'Acquire::http::Proxy "%s";\n' "$p"
  p=${https_proxy:-${HTTPS_PROXY:-}}
  [[ -z $p || $p == *localhost* || $p == *127.0.0.1* ]] || printf 'Acquire::https::Proxy "%s";\n' "$p"
}

# ssh splits this option at spaces and expands % in it.
ssh_path() { printf '"%s"' "${1//%/%%}"; }
