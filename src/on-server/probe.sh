# Reads all facts of a server: sections between "@@begin NAME" and "@@end NAME", closed by "@@end all", so that a cut answer never looks like
# something that is absent. The services are asked for their own state before, and their answers are read last. The caller defines
# looks_after ADDRESS: whether a service here manages the address.
# needs: sections.sh lock-age.sh
# given: STATE_DIR FORMAT OWNED LOADED_DIR RUNS_DIR LOCK_DIR LOCK_INFO LOCK_BEAT
# given: PACKAGES UNITS SYSCTLS CONTENT_LIMIT_BYTES RULES_LIMIT_BYTES LISTS_FRESH_MINUTES ANSWER_SECONDS CERTIFICATES_PER_FOLDER ARP_PROGRAM CONTENTS_PROGRAM NFT_PROGRAM

# ask_neighbours ADDRESS...: an address that no service here manages may be in use elsewhere. The neighbour table may be outdated, so the network
# is asked: IPv4 by ARP (who_answers), IPv6 by a datagram that makes the kernel ask.
ask_neighbours() {
  asked4='' asked6=''
  for v; do
    looks_after "$v" && continue
    ip -o addr show to "$v" 2>/dev/null | grep -qv '^1: lo ' && continue
    case $v in
      *:*)
        # shellcheck disable=SC2016 # bash's own variable: only bash has /dev/udp.
        timeout 1 bash -c 'echo >"/dev/udp/$1/9"' - "$v" 2>/dev/null
        asked6="$asked6 $v"
        ;;
      *) asked4="$asked4 $v" ;;
    esac
  done
}

# One interface after the other.
who_answers() {
  [ -n "$asked4" ] || return 0
  for v in $asked4; do echo "$(ip -o route get "$v" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p') $v"; done | sort | {
    d=
    set --
    while read -r i v; do
      [ -n "$v" ] || continue
      [ $# -gt 0 ] && [ "$i" != "$d" ] && {
        perl -e "$ARP_PROGRAM" -- "$d" "$@" 2>/dev/null
        set --
      }
      d=$i
      set -- "$@" "$v"
    done
    [ $# -gt 0 ] && perl -e "$ARP_PROGRAM" -- "$d" "$@" 2>/dev/null
  }
}

# while_they_answer CALLS: CALLS, the text of calls of the functions below, find the output of who_answers on descriptor 3.
while_they_answer() {
  who_answers | {
    exec 3<&0 </dev/null
    eval "$1"
  }
}

machine() {
  b facts
  echo "uid $(id -u)"
  read -r v </etc/machine-id 2>/dev/null && echo "machine-id $v"
  # A sysctl file gives only one byte to a reader that reads byte by byte, as the shell's read does.
  echo "boot-id $(cat /proc/sys/kernel/random/boot_id)"
  echo "hostname $(cat /proc/sys/kernel/hostname)"
  [ -d /run/systemd/system ] && echo "systemd yes"
  [ -e /run/cloud-init/status.json ] && [ ! -e /run/cloud-init/result.json ] && echo "cloud-init runs"
  command -v dpkg-query >/dev/null && echo "dpkg yes"
  echo "container $(systemd-detect-virt -c 2>/dev/null || :)"
  echo "clock $(date '+%s %N')"
  df -Pk /var 2>/dev/null | {
    read -r _
    v=
    read -r v
    echo "free $v"
  }
  e facts

  b os
  cat /etc/os-release 2>/dev/null
  e os

  b addresses
  ip -o addr show 2>/dev/null
  e addresses

  b links
  ip -o link show 2>/dev/null
  e links
}

# static_addresses ADDRESS...: files by which the system itself would add a virtual address at boot, whichever server is master.
static_addresses() {
  [ $# -gt 0 ] || return 0
  for v; do
    shift
    set -- "$@" -e "$v"
  done
  set -- "$@" --
  n=
  for f in /etc/network/interfaces /etc/network/interfaces.d/* /etc/netplan/*.yaml /etc/systemd/network/*.network /etc/NetworkManager/system-connections/*; do
    [ -f "$f" ] && n=y && set -- "$@" "$f"
  done
  [ -n "$n" ] || return 0
  b static
  grep -HwF "$@" 2>/dev/null
  e static
}

# Whether an installation runs now: what looks half done is then not broken, and apt waits for its lock (proc_locks(5)).
dpkg_works() { v=$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null) && grep -qs ":$v " /proc/locks; }

# One question for all that is asked of dpkg: dpkg-query reads its whole database for each. Lines that begin with a blank have the conffiles of
# the package before them.
packages() {
  # shellcheck disable=SC2016,SC2086 # dpkg-query's own variables; a list of names.
  known=$(dpkg-query -W -f='${Package} ${db:Status-Status} ${Version}\n${Conffiles}\n' $PACKAGES 2>/dev/null)
  b packages
  printf '%s\n' "$known"
  e packages

  installed=0
  while read -r _ status _; do [ "$status" != installed ] || installed=$((installed + 1)); done <<KNOWN
$known
KNOWN
  # shellcheck disable=SC2086 # A list of names.
  set -- $PACKAGES
  if [ "$installed" -lt $# ]; then
    b candidates
    LC_ALL=C apt-cache policy "$@" 2>/dev/null
    e candidates
    b lists
    find /var/lib/apt/lists -maxdepth 1 -name '*Release' -mmin "-$LISTS_FRESH_MINUTES" -print 2>/dev/null | head -n 1
    e lists
    b audit
    dpkg_works || dpkg --audit 2>/dev/null | head -n 5
    e audit
  fi
  b updates
  dpkg_works || for f in /var/lib/dpkg/updates/[0-9]*; do [ -e "$f" ] && echo "$f"; done
  e updates

  b format
  cat "$FORMAT" 2>/dev/null
  e format

  b owned
  cat "$OWNED" 2>/dev/null
  e owned

  b record
  # shellcheck disable=SC2010 # Names that hactl chose.
  ls -1A "$STATE_DIR" 2>/dev/null | grep -v -e '^lock' -e '^format$'
  e record
}

# files PATH...: reports the files that exist.
files() {
  for f; do
    shift
    [ -f "$f" ] && set -- "$@" "$f"
  done
  [ $# -gt 0 ] || return 0
  stats=$(stat -L -c '%a %U %G %s %n' -- "$@")
  b stats
  printf '%s\n' "$stats"
  e stats
  b symlinks
  for f; do [ ! -L "$f" ] || echo "$f $(readlink -- "$f")"; done
  e symlinks
  b sums
  sha256sum -- "$@"
  e sums
  b md5
  md5sum -- "$@"
  e md5
  set --
  while read -r _ _ _ size f; do
    [ -n "$f" ] && [ "$size" -le "$CONTENT_LIMIT_BYTES" ] && set -- "$@" "$f"
  done <<STATS
$stats
STATS
  [ $# -eq 0 ] || perl -e "$CONTENTS_PROGRAM" -- "$@"
}

# services CHECK: CHECK is the check script.
services() {
  check=$1
  set --
  for u in $UNITS; do set -- "$@" "$u.service"; done
  b services
  # A pattern finds the units that systemd has in memory.
  systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID "$@" 'hactl-*.service' 2>/dev/null
  e services

  b loaded
  for u in $UNITS; do
    v=
    { read -r v <"$LOADED_DIR/$u"; } 2>/dev/null
    echo "$u $v"
  done
  e loaded

  b sysctls
  for k in $SYSCTLS; do
    # Each dot is a slash there.
    path=$k
    while [ "$path" != "${path#*.}" ]; do path=${path%%.*}/${path#*.}; done
    v=$(cat "/proc/sys/$path" 2>/dev/null) && echo "$k $v"
  done
  e sysctls

  if [ -x "$check" ]; then
    timeout -k 1 "$ANSWER_SECONDS" "$check" once $((ANSWER_SECONDS - 1)) >/dev/null 2>&1
    rc=$?
    b check
    echo "$rc"
    e check
  fi
}

rules() { head -c "$RULES_LIMIT_BYTES"; }

network() {
  b listeners
  ss -Hltnp 2>/dev/null
  e listeners

  b firewall
  # shellcheck disable=SC2016 # dpkg-query's own variable.
  command -v ufw >/dev/null && grep -qi '^ENABLED=yes' /etc/ufw/ufw.conf 2>/dev/null &&
    echo "ufw $(dpkg-query -W -f='${Version}' ufw 2>/dev/null)"
  firewalld=
  [ -x /usr/sbin/firewalld ] && systemctl --quiet is-active firewalld && firewalld=yes && echo firewalld
  [ -e /usr/sbin/netfilter-persistent ] && echo netfilter-persistent
  [ -e /etc/systemd/system/multi-user.target.wants/hactl-firewall.service ] && echo opens-at-boot
  e firewall
  if command -v nft >/dev/null; then
    b nft
    timeout "$ANSWER_SECONDS" nft -j list ruleset 2>/dev/null | rules
    e nft
  elif [ -n "$firewalld" ]; then
    # firewalld does not need the program nft, but its library, for Python, in which firewalld is written.
    b nft
    timeout "$ANSWER_SECONDS" python3 -c "$NFT_PROGRAM" 2>/dev/null | rules
    e nft
  fi
  command -v iptables-save >/dev/null || return 0
  b iptables
  timeout "$ANSWER_SECONDS" iptables-save 2>/dev/null | rules
  e iptables
  if command -v ip6tables-save >/dev/null; then
    b ip6tables
    timeout "$ANSWER_SECONDS" ip6tables-save 2>/dev/null | rules
    e ip6tables
  fi
  b ufw-rules
  grep -h '^### tuple' /etc/ufw/user.rules /etc/ufw/user6.rules 2>/dev/null
  e ufw-rules
}

folders() {
  b folders
  stat -L -c '%a %U %G %s %n' -- "$@" 2>/dev/null
  e folders
}

# The end of each certificate as openssl prints it, because different versions of date read that differently. Of a file with several
# certificates, the end of the first, which is the server's.
end_of() { end=$(openssl x509 -noout -enddate -in "$1" 2>/dev/null) && echo "end ${end#*=} $1"; }

# ends_of PATH: of a folder only CERTIFICATES_PER_FOLDER are read, because each costs a process.
ends_of() {
  if [ -d "$1" ]; then
    n=0
    for f in "$1"/*; do
      n=$((n + 1))
      [ $n -le "$CERTIFICATES_PER_FOLDER" ] || break
      end_of "$f"
    done
  else
    end_of "$1" || echo "none $1"
  fi
}

# ends_of_list PATH: crt-list, configuration.txt 5.1: "FILE [OPTIONS] FILTER...", # begins a comment. Where base is empty, the folder of relative
# names is not known.
ends_of_list() {
  [ -r "$1" ] || {
    echo "none $1"
    return
  }
  m=0
  while read -r p _ || [ -n "$p" ]; do
    case $p in
      '' | '#'* | @*) continue ;;
      /*) ;;
      *)
        [ -n "$base" ] || continue
        p=$base/$p
        ;;
    esac
    m=$((m + 1))
    [ $m -le "$CERTIFICATES_PER_FOLDER" ] || break
    ends_of "$p"
  done <"$1"
}

# certificates BASE COUNT PATH...: COUNT files or folders, then lists of them.
certificates() {
  command -v openssl >/dev/null || return 0
  base=$1 count=$2
  shift 2
  b certificates
  for path; do
    if [ "$count" -gt 0 ]; then ends_of "$path"; else ends_of_list "$path"; fi
    count=$((count - 1))
  done
  e certificates
}

hactl_itself() {
  b lock
  if [ -d "$LOCK_DIR" ]; then
    echo "age $(lock_age)"
    cat "$LOCK_INFO" 2>/dev/null
  fi
  e lock

  b residue
  for f in /run/systemd/transient/hactl-*; do [ -e "$f" ] && echo "${f##*/}"; done
  e residue

  if [ -d "$RUNS_DIR" ]; then
    b runs
    ls -1 "$RUNS_DIR"
    e runs
  fi
}

# The output of who_answers comes on descriptor 3.
neighbours() {
  b neighbours
  [ -z "$asked4" ] || cat <&3
  for v in $asked6; do ip -o neigh show to "$v" nud reachable 2>/dev/null; done
  e neighbours
}

end_probe() { printf '@@end all\n'; }
