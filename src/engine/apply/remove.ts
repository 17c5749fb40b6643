import type { Script } from '../../ports.ts'
import { lockGuard } from '../lock.ts'
import { STATE_DIR } from '../observe/script.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { DOWNLOADS } from './packages.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { holdPath } from './run-dir.ts'
import { ALONE, LINKED, OWN_TOOLS } from './switch.ts'

/**
 * Takes away from one server what hactl put there, and gives back what stood there before: files of its record (one edited by hand since
 * is kept beside as .edited), the sysctl's old value, units as they were, packages that hactl installed (what those depend on stays: apt-get
 * autoremove takes it). keepalived goes first, so that the address has left before haproxy stops. What was cut off is done again.
 */
export function removeScript(lockId: string, runDirectory: string): Script {
  return joinScripts([
    STEP_FUNCTIONS,
    lockGuard(lockId),
    sh`trap '' PIPE HUP; state=${STATE_DIR}`,
    ALONE,
    // It may have waited for a switch that outlived its run, until its own lock was gone.
    lockGuard(lockId),
    sh`
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
original_of() { printf '%s/original/%s' "$state" "$(printf %s "$1" | tr / _)"; }
gives_back() { [ -e "$(original_of "$1")" ]; }
${LINKED}
installed() { grep -qx "$1" "$state/installed" 2>/dev/null; }
# was UNIT PATTERN: how it was before hactl's first change, "active enabled"; older versions of hactl kept no record of it.
was() { grep -qE "^$1 $2\$" "$state/original/units" 2>/dev/null; }
was_stopped() { was "$1" '(inactive|failed|deactivating) .*'; }

step service/keepalived ${'stop keepalived'}
grep -q ' /etc/keepalived/keepalived.conf$' "$state/owned" 2>/dev/null && { was_stopped keepalived || ! gives_back /etc/keepalived/keepalived.conf; } && systemctl stop keepalived 2>/dev/null
done_ service/keepalived

step files ${'remove files, and put back what was there before'}
[ -e "$state/owned" ] && while read -r sum path; do
  original=$(original_of "$path")
  if [ -e "$path" ] && [ "$(sha256sum -- "$path" | cut -c1-64)" != "$sum" ] && ! cmp -s -- "$path" "$original"; then cp -p -- "$path" "$path.edited"; echo "$path was edited by hand: kept as $path.edited"; fi
  case "$path" in (${OWN_TOOLS}*) [ ! -x "$path" ] || "$path" close >/dev/null 2>&1 </dev/null ;; esac
  if [ -e "$original" ]; then [ -d "\${path%/*}" ] || mkdir -p -- "\${path%/*}"; cp -p -- "$original" "$path.hactl-new" && linked "$original" "$path.hactl-new" && mv -f "$path.hactl-new" "$path" || fail files "$path could not be put back"
  else rm -f -- "$path"; fi
  # The folder of a drop-in was hactl's too; others, even when empty, belong to the system.
  case "$path" in (/etc/systemd/system/*.service.d/*) rmdir -- "\${path%/*}" 2>/dev/null ;; esac
done <"$state/owned"
rm -f /etc/tmpfiles.d/hactl-drain.conf
# A removal that was cut off later is not to do this again: what it gave back may be gone since, with its package.
[ ! -e "$state/owned" ] || { rm -f "$state/theirs" && mv -f "$state/owned" "$state/given-back"; }
done_ files

if [ -s "$state/original/sysctl" ]; then
  step sysctl ${'set kernel parameters back'}
  while read -r key value; do [ -n "$value" ] && sysctl -q -w "$key=$value"; done <"$state/original/sysctl"
  done_ sysctl
fi

step services ${'let haproxy and keepalived run what is there now'}
# Left behind by an installation that was cut off: nobody's haproxy would start.
for hold in ${['haproxy', 'keepalived'].map(holdPath)}; do rm -f "$hold"; rmdir "\${hold%/*}" 2>/dev/null; done
systemctl daemon-reload
for unit in haproxy keepalived; do
  installed $unit && continue
  conf=/etc/haproxy/haproxy.cfg; [ $unit = keepalived ] && conf=/etc/keepalived/keepalived.conf
  was $unit '.* disabled' && systemctl disable --quiet $unit 2>/dev/null
  systemctl is-active --quiet $unit || continue
  if [ -s $conf ] && ! was_stopped $unit; then systemctl reload $unit; else systemctl stop $unit; fi
done
rm -rf ${runDirectory} ${DOWNLOADS}
done_ services

known() { case $(dpkg-query -W -f='\${db:Status-Status}' "$1" 2>/dev/null) in ('' | not-installed) return 1 ;; esac; }
purge=
for name in haproxy keepalived; do installed $name && known $name && purge="$purge $name"; done
if [ -n "$purge" ]; then
  step packages "remove$purge"
  # apt-get refuses to work where dpkg was cut off. While somebody else works this fails, and apt-get waits for them.
  for f in /var/lib/dpkg/updates/[0-9]*; do [ ! -e "$f" ] || { setsid -w dpkg --force-confdef --force-confold --configure -a >"$state/remove.log" 2>&1; break; }; done
  # A purge takes its package's configuration files along, also where somebody's own stood there first. Once it has begun, nothing tells them apart.
  # Where a first deploy installed the package and came no further, what stands in place of its file is somebody's own as well.
  own=/etc/haproxy/haproxy.cfg
  if [ ! -e "$state/theirs" ] && [ -f "$own" ] && ! grep -q "  $own\$" "$state/given-back" 2>/dev/null && ! dpkg-query -W -f='\${Conffiles}\n' $purge 2>/dev/null | grep -qF " $own $(md5sum -- "$own" | cut -c1-32)"; then
    mkdir -p -m 0700 "$state/original" && cp -p -- "$own" "$(original_of "$own")" && printf 'own  %s\n' "$own" >>"$state/given-back" || fail packages "$own could not be kept (disk full?)"
  fi
  [ -e "$state/theirs" ] || { [ -e "$state/given-back" ] && while read -r sum path; do
    original=$(original_of "$path")
    [ -e "$original" ] || continue
    dpkg-query -W -f='\${Conffiles}\n' $purge 2>/dev/null | grep -qF " $path $(md5sum -- "$original" | cut -c1-32)" || echo "$(stat -c '%a %u:%g' -- "\${path%/*}" 2>/dev/null || echo 755 0:0) $path"
  done <"$state/given-back" >"$state/theirs.new" && mv -f "$state/theirs.new" "$state/theirs"; }
  # dpkg removes the file that a link in place of a conffile leads to, which nobody gave it: links stand aside meanwhile.
  dpkg-query -W -f='\${Conffiles}\n' $purge 2>/dev/null | while read -r path rest; do
    [ ! -L "$path" ] || { printf '%s %s\n' "$path" "$(readlink -- "$path")" >>"$state/links" && sync "$state/links" && rm -f -- "$path"; } || exit 1
  done || fail packages 'the links in place of configuration files could not be noted (disk full?)'
  # shellcheck disable=SC2086: a list of the two fixed names above.
  systemctl disable --quiet$(printf ' %s.service' $purge) 2>/dev/null
  setsid -w apt-get purge -y -q -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 $purge >"$state/remove.log" 2>&1 || { tail -n 10 "$state/remove.log"; fail packages 'apt-get purge failed'; }
  # One whose removal was cut off is only removed by that: its configuration files stay.
  left=$(dpkg-query -W -f='\${db:Status-Status} \${Package}\n' $purge 2>/dev/null | sed -n 's/^config-files //p')
  [ -z "$left" ] || setsid -w dpkg --purge $left >>"$state/remove.log" 2>&1 || { tail -n 10 "$state/remove.log"; fail packages 'dpkg --purge failed'; }
  done_ packages
fi
[ -e "$state/theirs" ] && while read -r mode owner path; do
  folder="\${path%/*}"
  [ -d "$folder" ] || { mkdir -p -- "$folder" && chown "$owner" "$folder" && chmod "$mode" "$folder"; }
  original=$(original_of "$path")
  cp -p -- "$original" "$path.hactl-new" && linked "$original" "$path.hactl-new" && mv -f "$path.hactl-new" "$path" || fail packages "$path could not be put back"
done <"$state/theirs"
[ -e "$state/links" ] && while read -r path target; do
  mkdir -p -- "\${path%/*}" && ln -sfT -- "$target" "$path" || fail packages "$path could not be put back: it was a link to $target"
  rm -f -- "$path.dpkg-new"
done <"$state/links"

step state ${'forget this server'}
# The lock is released later. What says that there is still something to do goes last.
find "$state" -mindepth 1 -maxdepth 1 ! -name lock ! -name lock.mutex ! -name installed -exec rm -rf {} +
rm -f "$state/installed"
done_ state`,
  ])
}

/** After the lock was released: the empty folder. */
export function forgetStateScript(): Script {
  return sh`rm -f ${`${STATE_DIR}/lock.mutex`}; rmdir ${STATE_DIR} 2>/dev/null; :`
}

/** Ends with status 0 where this server's list of members has any of these lines. */
export function hasMembersScript(lines: readonly string[]): Script {
  return sh`printf '%s\n' ${lines} | grep -qxF -f - ${`${STATE_DIR}/members`} 2>/dev/null`
}

/** On a server that stays: these lines are taken out of its list of members, and the list remains hactl's own. */
export function forgetMembersScript(lockId: string, lines: readonly string[]): Script {
  return joinScripts([
    STEP_FUNCTIONS,
    lockGuard(lockId),
    sh`state=${STATE_DIR}; list="$state/members"; owned="$state/owned"; umask 077`,
    ALONE,
    sh`
[ -e "$list" ] || exit 0
printf '%s\n' ${lines} | grep -vxF -f - "$list" >"$list.hactl-new"
sum=$(sha256sum -- "$list.hactl-new" | cut -c1-64)
{ grep -v "  $list\$" "$owned"; printf '%s  %s\n' "$sum" "$list"; } >"$owned.new" && mv -f "$owned.new" "$owned" && mv -f "$list.hactl-new" "$list"`,
  ])
}
