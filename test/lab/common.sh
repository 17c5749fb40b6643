# shellcheck shell=bash
# What the lab of containers and the lab of real kernels do alike. Sourced by both.
# given: lab_command (how a person calls the lab), release (of mirror_lines)

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

# run SECONDS LOG COMMAND...: bounded, quiet, and shows the end of its output when it fails.
run() {
  local limit=$1 log=$2 rc=0
  shift 2
  timeout -k 5 "$limit" "$@" </dev/null >"$log" 2>&1 || rc=$?
  [[ $rc -eq 0 ]] && return 0
  tail -n 25 "$log" | sed 's/^/  | /' >&2
  [[ $rc -eq 124 ]] && say "the command did not end within ${limit} s: $*"
  return "$rc"
}

lock() {
  mkdir -p "$shared"
  exec 9>"$shared/lock"
  flock -w 600 9 || fail "another lab command holds the lock" "$shared/lock is still held after 10 minutes" \
    "wait until that command ends, or find it with: fuser -v $shared/lock"
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
  run 300 "$shared/apt.log" "${apt[@]}" install -y --no-install-recommends "$@" ||
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
  if have docker && [[ -n $(timeout 20 docker network ls -q --filter label=hactl.lab 2>/dev/null) ]]; then return 0; fi
  as_root ip route del blackhole "$range" metric 9999 2>/dev/null || true
  rm -f "$shared/blackhole"
}

# shellcheck disable=SC1091
host_codename() { (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}"); }

# The machine's own mirrors, rewritten for the lab's release: "URI SUITE COMPONENT" per line.
mirror_lines() {
  local from
  from=$(host_codename)
  have apt-get && [[ -n $from ]] || return 0
  # shellcheck disable=SC1091
  (. /etc/os-release && [[ ${ID:-} == debian ]]) || return 0
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk -v from="$from" -v to="$release" '
      { sub("/+$", "", $1) }
      $1 ~ /^https?:/ && $3 == "main" && ($2 == from || $2 == from "-updates" || $2 == from "-security") {
        sub("^" from, to, $2); if (!seen[$0]++) print }'
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
