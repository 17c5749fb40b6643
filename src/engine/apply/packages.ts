import type { Script } from '../../ports.ts'
import type { Action } from '../../state.ts'
import { LOCK_DIR, lockGuard } from '../lock.ts'
import { STATE_DIR } from '../observe/script.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { holdPath, runDir } from './run-dir.ts'
import { actionTitle } from './title.ts'

export type Install = Extract<Action, { kind: 'install-package' }>

// The longest apt may take: a slow mirror, or the lock held by unattended-upgrades for minutes on a first boot.
const APT_LOCK_SECONDS = 600

/** What hactl downloads waits here, apart from apt's own cache, which others empty at their own times. */
export const DOWNLOADS = '/var/cache/apt/hactl'

/** There where packages are brought to the server: how apt gets at them. */
export const APT_CONF = `${DOWNLOADS}/apt.conf`

/**
 * needrestart and debconf would wait for an answer nobody gives, and needrestart might restart what carries the traffic; a file that
 * somebody changed stays as it is (evidence P2 to P5). Nobody reads descriptions here: no translations are fetched, and the same without
 * them everywhere, so that apt need not build its cache anew for each command.
 */
const OPTIONS = sh`-q -o DPkg::Lock::Timeout=${APT_LOCK_SECONDS} -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -o Dir::Cache::archives=${DOWNLOADS} -o Acquire::Languages=none`

/** What every script around apt-get begins with; `apt_log` must be set. Sets LC_ALL: apt's words are read. */
export const APT_FUNCTIONS = sh`
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none LC_ALL=C
[ -e ${APT_CONF} ] && export APT_CONFIG=${APT_CONF}
# Why a repository gave nothing stands indented below its "Err:3 http://..."; E: and W: need not repeat it.
apt_complaints() {
  awk '/^(E|W|dpkg): / || (err && sub(/^ +/, "")) { if (!seen[$0]++) print } { err = /^Err:/ }' "$apt_log" | tail -n 10 | grep . || tail -n 15 "$apt_log"
}
# tell_lock: who holds a lock of apt's now, for the operator; to wait for it is apt's own business.
# proc_locks(5): "1: POSIX  ADVISORY  WRITE PID MAJOR:MINOR:INODE START END"; a waiting one has an arrow before POSIX.
tell_lock() {
  for f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock; do
    [ -e "$f" ] && [ -r /proc/locks ] || continue
    inode=$(stat -c %i "$f")
    while read -r _ kind _ _ pid place _; do
      case "$kind $place" in
        "POSIX "*":$inode") echo "@@note waiting for $(cat "/proc/$pid/comm" 2>/dev/null || echo 'another process') (pid $pid), which holds apt's lock"; return ;;
      esac
    done </proc/locks
  done
}
downloads() { mkdir -p ${`${DOWNLOADS}/partial`} && chown _apt ${`${DOWNLOADS}/partial`} 2>/dev/null; chmod 0700 ${`${DOWNLOADS}/partial`}; }`

/** The words by which apt-get is asked: "haproxy", or "haproxy=2.6.*". */
function wordsFor(installs: readonly Install[]): readonly string[] {
  return installs.map(install => (install.pin === undefined ? install.name : `${install.name}=${install.pin}`))
}

/** Words of every `apt-get install`. */
export function installOptions(installs: readonly Install[]): Script {
  const replaces = installs.some(install => install.from !== undefined)
  return sh`-y --no-install-recommends ${replaces ? sh`--allow-downgrades` : sh``} ${OPTIONS}`
}

/** Clears away what waits for an installation that does not come; not while a run holds the lock, whose packages they would be. */
export function clearDownloadsScript(): Script {
  return sh`exec 9>${`${STATE_DIR}/lock.mutex`} && flock -w 5 9 || exit 1
[ -d ${LOCK_DIR} ] || rm -rf ${DOWNLOADS}`
}

/** Says what the repositories of this server have. apt-cache(8), madison: "haproxy | 2.6.12-1 | http://...". */
export function versionsShell(names: readonly string[]): Script {
  return sh`for name in ${names}; do
  versions=$(apt-cache madison "$name" 2>/dev/null | { while read -r _ _ version _; do printf ' %s' "$version"; done; })
  echo "$name:\${versions:- no version} in the repositories of this server"
done`
}

/** Lines for a script that has APT_FUNCTIONS. `strict`: a mirror that does not answer is a failure, not only a remark. */
export function refreshLines(strict: boolean): Script {
  return sh`step apt/lists ${'refresh the package lists'}
tell_lock
i=0
while :; do
  setsid -w apt-get update ${OPTIONS} -o APT::Get::List-Cleanup=false >"$apt_log" 2>&1; rc=$?
  [ $rc -eq 0 ] && break
  # The lock of the lists, unlike dpkg's, has no timeout of its own.
  if grep -q 'Could not get lock' "$apt_log" && [ $i -lt ${APT_LOCK_SECONDS / 2} ]; then sleep 2; i=$((i+1)); continue; fi
  apt_complaints; fail apt/lists "apt-get update ended with status $rc"
done
# apt-get update calls a mirror that does not answer a warning (apt-get(8)).
if grep -q '^W: Failed to fetch' "$apt_log"; then
  ${strict ? sh`apt_complaints; fail apt/lists 'a mirror does not answer: what it has is not known'` : sh`echo "@@note not every mirror answered: $(grep -m 1 '^W: Failed to fetch' "$apt_log")"`}
fi
done_ apt/lists`
}

/**
 * Downloads what is to be installed and installs nothing. A version that no repository has, or a mirror that does not answer, is found
 * out here: before anything is changed on any server. `isBrought`: the packages, or the way to them, are there already (PackageSource).
 */
export function fetchScript(
  runId: string,
  lockId: string,
  installs: readonly Install[],
  options: { readonly refreshLists: boolean; readonly download: boolean; readonly isBrought: boolean },
): Script {
  return joinScripts([
    STEP_FUNCTIONS,
    lockGuard(lockId),
    sh`umask 077; mkdir -p ${runDir(runId)}/staged; umask 022; apt_log=${`${runDir(runId)}/fetch.log`}`,
    options.isBrought ? sh`:` : sh`rm -rf ${DOWNLOADS}`,
    APT_FUNCTIONS,
    sh`downloads`,
    options.refreshLists ? refreshLines(false) : sh`:`,
    options.download ? downloadLines(installs, options.refreshLists) : sh`:`,
  ])
}

/** A list that is some hours old may name a file that its mirror has replaced since: it is refreshed before this counts as a failure. */
function downloadLines(installs: readonly Install[], isRefreshed: boolean): Script {
  const names = installs.map(install => install.name)
  const again = sh`if [ $rc -ne 0 ]; then
${refreshLines(false)}
download; rc=$?
fi`
  return sh`
download() { setsid -w apt-get install --download-only ${installOptions(installs)} ${wordsFor(installs)} >>"$apt_log" 2>&1; }
step apt/download ${`download ${names.join(' and ')}`}
tell_lock
download; rc=$?
${isRefreshed ? sh`:` : again}
if [ $rc -ne 0 ]; then
  apt_complaints
  ${versionsShell(names)}
  fail apt/download "apt-get cannot get $(printf '%s ' ${wordsFor(installs)})"
fi
done_ apt/download`
}

/**
 * One apt-get for all packages, in a session of its own: an interrupted run or a lost connection must not kill dpkg half way. The units are
 * held back meanwhile: a half-configured service must not start, and a server must not take part in VRRP before its peers know it.
 */
export function installLines(runId: string, installs: readonly Install[], finishDpkg: boolean): Script {
  const names = installs.map(install => install.name)
  const fresh = installs.filter(install => install.from === undefined).map(install => install.name)
  const holds = names.map(holdPath)
  return sh`
apt_log=${`${runDir(runId)}/apt.log`}
${APT_FUNCTIONS}
release() { for hold in ${holds}; do rm -f "$hold"; rmdir "\${hold%/*}" 2>/dev/null; done; systemctl daemon-reload; }
# Noted before: an installation that dies half way is hactl's all the same, and what somebody else's was cut off never becomes hactl's.
own=${`${STATE_DIR}/installed`}; fresh=${fresh.join(' ')}
absent() { case $(dpkg-query -W -f='\${db:Status-Status}' "$1" 2>/dev/null) in ('' | not-installed | config-files) ;; (*) return 1 ;; esac; }
for name in $fresh; do absent "$name" && ! grep -qx "$name" "$own" 2>/dev/null && echo "$name" >>"$own"; done
disown() { for name in $fresh; do absent "$name" && { grep -vx "$name" "$own" >"$own.new"; mv -f "$own.new" "$own"; }; done; }
apt_failed() { apt_complaints; release; disown; rm -rf ${DOWNLOADS}; fail "$1" "apt-get ended with status $2"; }
for hold in ${holds}; do mkdir -p "\${hold%/*}" && printf '[Unit]\nConditionPathExists=/nowhere\n' >"$hold"; done
${finishDpkg || fresh.length < names.length ? sh`systemctl daemon-reload` : sh`:`}
${finishDpkg ? sh`step package/dpkg ${'finish the interrupted package installation'}; dpkg --force-confdef --force-confold --configure -a >>"$apt_log" 2>&1 || apt_failed package/dpkg $?; done_ package/dpkg` : sh`:`}
downloads
${joinScripts(
  installs.map(install => sh`step ${install.id} ${actionTitle(install)}`),
  '\n',
)}
tell_lock
setsid -w apt-get install ${installOptions(installs)} ${wordsFor(installs)} >>"$apt_log" 2>&1 || apt_failed ${installs[0]?.id ?? 'package'} $?
release
rm -rf ${DOWNLOADS}
${joinScripts(
  installs.map(install => sh`dpkg-query -W -f=${'${Version}\\n'} ${install.name}; done_ ${install.id}`),
  '\n',
)}`
}
