import type { Script } from '../../ports.ts'
import type { Unit } from '../../state.ts'
import { sh } from '../../shell/sh.ts'
import { perlText } from '../../shell/library.ts'

/** Where hactl keeps its state on a server. */
export const STATE_DIR = '/var/lib/hactl'
/** Where keepalived's own addresses stand. */
const KEEPALIVED_CONF = '/etc/keepalived/keepalived.conf'
/** Files larger than this are compared by checksum only. */
export const CONTENT_LIMIT_BYTES = 262_144
/** Package lists older than this are refreshed before an installation. */
const LISTS_FRESH_MINUTES = 24 * 60
/** A ruleset larger than this is not judged. */
export const RULES_LIMIT_BYTES = 524_288

/** What `nft -j list ruleset` prints, by libnftables' own module for Python (py/nftables.py of nftables). */
const NFT_RULESET = `import nftables
n = nftables.Nftables()
n.set_json_output(True)
print(n.cmd('list ruleset')[1])`

/** What one probe of a server shall look at. */
export interface ProbeRequest {
  readonly packages: readonly string[]
  readonly paths: readonly string[]
  readonly units: readonly Unit[]
  readonly sysctls: readonly string[]
  /** Absolute paths of tracker files. */
  readonly trackers: readonly string[]
  /** Absolute path of the check script; asked with the argument "once". */
  readonly checkScript: string
  /** Certificates, folders and lists of them (crt-list), whose end is asked of openssl. `base`: where relative names in a list begin. */
  readonly certificates?: { readonly paths: readonly string[]; readonly lists: readonly string[]; readonly base: string | undefined }
  /** Virtual addresses: who answers for them is asked, where no keepalived looks after them here. */
  readonly virtualAddresses: readonly string[]
}

/**
 * The one script that reads all facts of a server: sections between "@@begin NAME" and "@@end NAME", closed by "@@end all", so that a
 * cut answer can never be taken for an absent thing. Changes nothing but keepalived's own state dump in /tmp.
 */
export function probeScript(request: ProbeRequest): Script {
  const units = request.units.map(unit => `${unit}.service`)
  return sh`
b() { printf '@@begin %s\n' "$1"; }
e() { printf '\n@@end %s\n' "$1"; }

values() { for f in ${request.trackers}; do v=; [ -e "$f" ] && { { read -r v <"$f"; } 2>/dev/null; echo "$f $v"; }; done; }
asked=$(values)
# keepalived writes its dumps asynchronously: asked first, read last. SIGUSR1 is "write all data", the only dump with the track files; signal
# 36 is SIGRTMIN+2, "write JSON" (keepalived --signum=JSON).
ka_pid=
[ -r /run/keepalived.pid ] && read -r ka_pid </run/keepalived.pid
if [ -n "$ka_pid" ] && [ -d "/proc/$ka_pid" ]; then
  rm -f /tmp/keepalived.json /tmp/keepalived.data /tmp/keepalived_parent.data
  kill -USR1 "$ka_pid" 2>/dev/null
  kill -36 "$ka_pid" 2>/dev/null || ka_pid=
else ka_pid=; fi

# keepalived looks after the addresses that it was told of: a new one may be somebody else's. What the neighbour table holds may be long
# past, so it is asked anew: IPv4 by ARP, IPv6 by a nudge that makes the kernel ask.
asked4= asked6=
for v in ${request.virtualAddresses}; do
  [ -n "$ka_pid" ] && grep -qwF -- "$v" ${KEEPALIVED_CONF} 2>/dev/null && continue
  ip -o addr show to "$v" 2>/dev/null | grep -q . && continue
  case $v in
    (*:*) timeout 1 bash -c 'echo >"/dev/udp/$1/9"' - "$v" 2>/dev/null; asked6="$asked6 $v" ;;
    (*) asked4="$asked4 $v" ;;
  esac
done
who_answers() {
  [ -n "$asked4" ] || return 0
  for v in $asked4; do echo "$(ip -o route get "$v" 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p') $v"; done | sort | {
    d=; set --
    while read -r i v; do
      [ -n "$v" ] || continue
      [ $# -gt 0 ] && [ "$i" != "$d" ] && { perl -e ${perlText('arp-probe.pl')} -- "$d" "$@" 2>/dev/null; set --; }
      d=$i; set -- "$@" "$v"
    done
    [ $# -gt 0 ] && perl -e ${perlText('arp-probe.pl')} -- "$d" "$@" 2>/dev/null
  }
}

# The answers arrive while the rest is read.
who_answers | {
exec 3<&0 </dev/null
b facts
echo "uid $(id -u)"
read -r v </etc/machine-id 2>/dev/null && echo "machine-id $v"
# A sysctl file gives one byte to whoever reads byte by byte, as the shell's read does.
echo "boot-id $(cat /proc/sys/kernel/random/boot_id)"
echo "hostname $(cat /proc/sys/kernel/hostname)"
[ -d /run/systemd/system ] && echo "systemd yes"
[ -e /run/cloud-init/status.json ] && [ ! -e /run/cloud-init/result.json ] && echo "cloud-init runs"
command -v dpkg-query >/dev/null && echo "dpkg yes"
echo "container $(systemd-detect-virt -c 2>/dev/null || :)"
echo "clock $(date '+%s %N')"
echo "free $(df -Pk /var 2>/dev/null | tail -n 1)"
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

# Where the system itself would put a virtual address at boot, whoever is master.
n=; set --
for v in ${request.virtualAddresses}; do set -- "$@" -e "$v"; done
set -- "$@" --
for f in /etc/network/interfaces /etc/network/interfaces.d/* /etc/netplan/*.yaml /etc/systemd/network/*.network /etc/NetworkManager/system-connections/*; do
  [ -f "$f" ] && n=y && set -- "$@" "$f"
done
if [ -n "$n" ] && [ "$1" = -e ]; then
  b static
  grep -HwF "$@" 2>/dev/null
  e static
fi

b packages
dpkg-query -W -f='\${Package} \${db:Status-Status} \${Version}\n' ${request.packages} 2>/dev/null
e packages

# Somebody installs just now: what looks half done is not broken, and apt waits for its lock (proc_locks(5)).
dpkg_works() { grep -qs ":$(stat -c %i /var/lib/dpkg/lock-frontend 2>/dev/null || echo none) " /proc/locks; }
installed=$(dpkg-query -W -f='\${db:Status-Status}\n' ${request.packages} 2>/dev/null | grep -cx installed)
if [ "$installed" -lt ${request.packages.length} ]; then
  b candidates
  LC_ALL=C apt-cache policy ${request.packages} 2>/dev/null
  e candidates
  b lists
  find /var/lib/apt/lists -maxdepth 1 -name '*Release' -mmin -${LISTS_FRESH_MINUTES} -print 2>/dev/null | head -n 1
  e lists
  b audit
  dpkg_works || dpkg --audit 2>/dev/null | head -n 5
  e audit
fi
b updates
dpkg_works || for f in /var/lib/dpkg/updates/[0-9]*; do [ -e "$f" ] && echo "$f"; done
e updates

b owned
cat ${`${STATE_DIR}/owned`} 2>/dev/null
e owned

b record
ls -1A ${STATE_DIR} 2>/dev/null | grep -v '^lock'
e record

b conffiles
dpkg-query -W -f='\${Conffiles}\n' ${request.packages} 2>/dev/null
e conffiles

set --
for f in ${request.paths}; do [ -f "$f" ] && set -- "$@" "$f"; done
if [ $# -gt 0 ]; then
  b stats
  stat -L -c '%a %U %G %s %n' -- "$@"
  e stats
  b symlinks
  for f in "$@"; do [ ! -L "$f" ] || echo "$f $(readlink -- "$f")"; done
  e symlinks
  b sums
  sha256sum -- "$@"
  e sums
  b md5
  md5sum -- "$@"
  e md5
  for f in "$@"; do
    size=$(stat -L -c %s -- "$f")
    [ "$size" -le ${CONTENT_LIMIT_BYTES} ] || continue
    b "content $f"
    base64 -w 0 -- "$f"
    e "content $f"
  done
fi

b services
systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID ${units} 2>/dev/null
e services

b loaded
for u in ${request.units}; do v=; { read -r v <${STATE_DIR}/loaded/"$u"; } 2>/dev/null; echo "$u $v"; done
e loaded

b sysctls
for k in ${request.sysctls}; do
  v=$(cat /proc/sys/"$(echo "$k" | tr . /)" 2>/dev/null) && echo "$k $v"
done
e sysctls

# The kernel names what a process watches by inode: a folder that was deleted and made again is another one (proc(5), fdinfo).
if [ -n "$ka_pid" ]; then
  b watched
  for f in ${request.trackers}; do echo "\${f%/*}"; done | sort -u | while read -r d; do
    i=$(printf %x "$(stat -c %i "$d" 2>/dev/null || echo 0)"); w=
    for p in $ka_pid $(cat /proc/"$ka_pid"/task/"$ka_pid"/children 2>/dev/null); do
      [ -r /proc/"$p"/fdinfo/0 ] || continue
      if grep -qs "^inotify wd:[0-9a-f]* ino:$i " /proc/"$p"/fdinfo/*; then w=yes; else w=\${w:-no}; fi
    done
    echo "$w"
  done
  e watched
fi

if [ -x ${request.checkScript} ]; then
  timeout -k 1 3 ${request.checkScript} once >/dev/null 2>&1; rc=$?
  b check
  echo "$rc"
  e check
fi

b listeners
ss -Hltnp 2>/dev/null
e listeners

b firewall
command -v ufw >/dev/null && grep -qi '^ENABLED=yes' /etc/ufw/ufw.conf 2>/dev/null && echo "ufw $(dpkg-query -W -f='\${Version}' ufw 2>/dev/null)"
firewalld=; [ -x /usr/sbin/firewalld ] && systemctl --quiet is-active firewalld && firewalld=yes && echo firewalld
[ -e /usr/sbin/netfilter-persistent ] && echo netfilter-persistent
[ -e /etc/systemd/system/multi-user.target.wants/hactl-firewall.service ] && echo opens-at-boot
e firewall
if command -v nft >/dev/null; then
  b nft
  timeout 3 nft -j list ruleset 2>/dev/null | head -c ${RULES_LIMIT_BYTES}
  e nft
elif [ -n "$firewalld" ]; then
  # It needs no nft, but the library of it, for the Python that it is written in.
  b nft
  timeout 3 python3 -c ${NFT_RULESET} 2>/dev/null | head -c ${RULES_LIMIT_BYTES}
  e nft
fi
if command -v iptables-save >/dev/null; then
  b iptables
  timeout 3 iptables-save 2>/dev/null | head -c ${RULES_LIMIT_BYTES}
  e iptables
  if command -v ip6tables-save >/dev/null; then
    b ip6tables
    timeout 3 ip6tables-save 2>/dev/null | head -c ${RULES_LIMIT_BYTES}
    e ip6tables
  fi
  b ufw-rules
  grep -h '^### tuple' /etc/ufw/user.rules /etc/ufw/user6.rules 2>/dev/null
  e ufw-rules
fi

b folders
stat -L -c '%a %U %G %s %n' -- ${foldersAbove(request.checkScript)} 2>/dev/null
e folders
${certificatesScript(request.certificates)}
b lock
if [ -d ${STATE_DIR}/lock ]; then
  echo "age $(( $(date +%s) - $(stat -c %Y ${STATE_DIR}/lock/beat 2>/dev/null || stat -c %Y ${STATE_DIR}/lock 2>/dev/null || date +%s) ))"
  cat ${STATE_DIR}/lock/info 2>/dev/null
fi
e lock

b residue
for f in /run/systemd/transient/hactl-*; do [ -e "$f" ] && echo "\${f##*/}"; done
e residue

if [ -d ${STATE_DIR}/runs ]; then
  b runs
  ls -1 ${STATE_DIR}/runs
  e runs
fi

b neighbours
cat <&3
for v in $asked6; do ip -o neigh show to "$v" nud reachable 2>/dev/null; done
e neighbours

if [ -n "$ka_pid" ]; then
  i=0
  while [ $i -lt 50 ]; do
    [ -s /tmp/keepalived.json ] && case "$(tail -c 3 /tmp/keepalived.json)" in *']'*|*'}'*) break ;; esac
    sleep 0.02; i=$((i+1))
  done
  b instances
  cat /tmp/keepalived.json 2>/dev/null
  e instances
  # It has passwords as well: no more of it than the track files, up to the next heading, and it does not stay.
  b held
  sed -n '/^-----.* Track files >-/,/^------</p' /tmp/keepalived.data 2>/dev/null
  e held
  rm -f /tmp/keepalived.data /tmp/keepalived_parent.data
fi
b trackers-asked
echo "$asked"
e trackers-asked
b trackers
values
e trackers
printf '@@end all\n'
}
`
}

function foldersAbove(path: string): readonly string[] {
  const names = path.split('/').slice(1, -1)
  return ['/', ...names.map((_, at) => `/${names.slice(0, at + 1).join('/')}`)]
}

/** So many files of a folder are asked: each costs a process. */
const CERTIFICATES_PER_FOLDER = 100

/**
 * The end of each certificate as openssl prints it, because no two programs named date read that alike; of a file with several, that of
 * the first, which is the server's. crt-list, configuration.txt 5.1: "FILE [OPTIONS] FILTER...", # begins a comment.
 */
function certificatesScript(certificates: ProbeRequest['certificates']): Script {
  const { paths, lists, base } = certificates ?? { paths: [], lists: [], base: undefined }
  if (paths.length + lists.length === 0) return sh`:`
  return sh`
if command -v openssl >/dev/null; then
  b certificates
  end_of() { end=$(openssl x509 -noout -enddate -in "$1" 2>/dev/null) && echo "end \${end#*=} $1"; }
  ends_of() {
    if [ -d "$1" ]; then
      n=0
      for f in "$1"/*; do n=$((n + 1)); [ $n -le ${CERTIFICATES_PER_FOLDER} ] || break; end_of "$f"; done
    else
      end_of "$1" || echo "none $1"
    fi
  }
  for p in ${paths}; do ends_of "$p"; done
  for l in ${lists}; do
    [ -r "$l" ] || { echo "none $l"; continue; }
    m=0
    while read -r p _ || [ -n "$p" ]; do
      case $p in '' | '#'* | @*) continue ;; /*) ;; *) ${base === undefined ? sh`continue` : sh`p=${base}/$p`} ;; esac
      m=$((m + 1)); [ $m -le ${CERTIFICATES_PER_FOLDER} ] || break
      ends_of "$p"
    done <"$l"
  done
  e certificates
fi`
}
