/** What an upgrade asks and does on one server beyond a deploy: what apt would do, a trial of the new versions, and the way out of a failure. */
import type { Script } from '../../ports.ts'
import type { Action, Unit } from '../../state.ts'
import { lockGuard } from '../lock.ts'
import { STATE_DIR } from '../observe/script.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { APT_FUNCTIONS, clearDownloadsScript, DOWNLOADS, installOptions, refreshLines, versionsShell } from './packages.ts'
import { stageScript, validateScript } from './prepare.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { holdPath, runDir } from './run-dir.ts'

type WriteFile = Extract<Action, { kind: 'write-file' }>

/** Stands on a server from before its turn until after it; says whether the upgrade itself has lowered the server. */
const MARK = `${STATE_DIR}/upgrading`

/** What apt would do on one server. */
export interface UpgradeOutlook {
  /** The packages that were asked for and would be replaced: by name, what is installed and what would be. */
  readonly upgrades: readonly { readonly name: string; readonly from: string; readonly to: string }[]
  /** Other packages that would be installed or replaced with them: "liblua5.3-0 5.3.6-2". */
  readonly others: readonly string[]
  readonly removed: readonly string[]
  /** apt-mark(8) hold: somebody wants it to stay. */
  readonly held: readonly string[]
  /** An earlier upgrade ended in this server's turn; drained: it had lowered it. */
  readonly begun: 'no' | 'begun' | 'drained'
}

/** Refreshes the package lists and asks apt what it would do; installs nothing. `words` as apt-get takes them: "haproxy=2.6.*".
 * `isBrought`: the packages, or the way to them, are there already. */
export function outlookScript(words: readonly string[], isBrought: boolean): Script {
  const names = words.map(word => word.replace(/=.*/, ''))
  return joinScripts([
    STEP_FUNCTIONS,
    sh`apt_log=$(mktemp) || exit 1; trap ${'rm -f "$apt_log"'} EXIT`,
    // No lock is held yet: somebody else may be about to install what waits there.
    isBrought ? sh`:` : sh`( ${clearDownloadsScript()} )`,
    APT_FUNCTIONS,
    sh`downloads`,
    refreshLines(true),
    sh`
step apt/outlook ${'ask apt for newer versions'}
held=$(apt-mark showhold ${names} 2>/dev/null)
set --
for word in ${words}; do
  case "
$held
" in *"
\${word%%=*}
"*) echo "@@held \${word%%=*}" ;; *) set -- "$@" "$word" ;; esac
done
if [ $# -gt 0 ]; then
  apt-get install -s --allow-downgrades ${installOptions([])} "$@" >"$apt_log" 2>&1; rc=$?
  if [ $rc -ne 0 ]; then apt_complaints; ${versionsShell(names)}; fail apt/outlook "apt-get cannot do this: $(printf '%s ' "$@")"; fi
fi
done_ apt/outlook
grep -E '^(Inst|Remv) ' "$apt_log"
if [ -e ${MARK} ]; then echo "@@begun $(cat ${MARK})"; fi; :`,
  ])
}

/** apt-get(8), -s: "Inst NAME [OLD] (NEW ORIGIN [ARCH])", without [OLD] where it is new, and "Remv NAME [OLD]". */
export function parseOutlook(lines: readonly string[], names: readonly string[]): UpgradeOutlook {
  const found = lines.flatMap(line => {
    const match = /^Inst (\S+) (?:\[(\S+)\] )?\((\S+)/.exec(line)
    return match === null ? [] : [{ name: match[1] ?? '', from: match[2] ?? '', to: match[3] ?? '' }]
  })
  const words = (prefix: string) => lines.flatMap(line => (line.startsWith(prefix) ? [line.slice(prefix.length).trim()] : []))
  const begun = words('@@begun ')[0]
  return {
    upgrades: found.filter(({ name }) => names.includes(name)),
    others: found.filter(({ name }) => !names.includes(name)).map(({ name, to }) => `${name} ${to}`),
    removed: words('Remv ').map(rest => rest.split(' ')[0] ?? rest),
    held: words('@@held '),
    begun: begun === undefined ? 'no' : begun === 'drained' ? 'drained' : 'begun',
  }
}

/**
 * Lets the downloaded programs, unpacked beside the installed ones, judge the files that they will read. Nothing is installed and nothing
 * that runs is touched: a configuration that the new version refuses stops the upgrade on all servers.
 */
export function trialScript(runId: string, lockId: string, files: readonly WriteFile[]): Script {
  const root = `${runDir(runId)}/try`
  return joinScripts([
    STEP_FUNCTIONS,
    lockGuard(lockId),
    sh`
umask 077; mkdir -p ${root} ${`${runDir(runId)}/staged`}; umask 022
# A new libc beside the old loader starts nothing: then the first server's own check has to do.
case "$(ls ${DOWNLOADS})" in *libc6_*) echo ${'@@note the C library is replaced as well: the new versions cannot be tried before they are installed'}; exit 0 ;; esac
for deb in ${DOWNLOADS}/*.deb; do dpkg-deb -x "$deb" ${root} || fail apt/try "$deb cannot be unpacked (disk full?)"; done
PATH=${`${root}/usr/sbin:${root}/usr/bin`}:$PATH
LD_LIBRARY_PATH=$(find ${root} -name '*.so*' | sed 's|/[^/]*$||' | sort -u | tr '\n' ':')
export PATH LD_LIBRARY_PATH
haproxy -v >/dev/null 2>&1 && keepalived -v >/dev/null 2>&1 || { echo ${'@@note the new versions do not run beside the installed ones: the first server is their trial'}; exit 0; }`,
    ...files.map(write => stageScript(runId, write)),
    ...files.flatMap(write => (write.validation === undefined ? [] : [validateScript(runId, write, files)])),
    sh`rm -rf ${root}`,
  ])
}

/** Stands before anything is changed on this server, so that a later run knows what to finish. */
export function markScript(lockId: string, word: 'begun' | 'drained'): Script {
  return sh`${lockGuard(lockId)}
printf '%s\n' ${word} >${`${MARK}.new`} && mv -f ${`${MARK}.new`} ${MARK}`
}

export function unmarkScript(): Script {
  return sh`rm -f ${MARK}`
}

/** Where no track file can hand over: keepalived says goodbye, and a backup takes the addresses. */
export function stopKeepalivedScript(lockId: string): Script {
  return joinScripts([
    STEP_FUNCTIONS,
    lockGuard(lockId),
    sh`step service/keepalived-stop ${'stop keepalived: a backup takes over'}
systemctl stop keepalived || fail service/keepalived-stop ${'systemctl stop failed'}
done_ service/keepalived-stop`,
  ])
}

/**
 * After a turn that failed: what is installed runs, so that the server is not lost for good. It still takes no address. An installation that
 * was cut off holds its units back: they would not come up again after a crash either.
 */
export function startAgainScript(units: readonly Unit[]): Script {
  return sh`
held=; rc=0
for hold in ${units.map(holdPath)}; do [ ! -e "$hold" ] || { rm -f "$hold"; rmdir "\${hold%/*}" 2>/dev/null; held=yes; }; done
[ -z "$held" ] || systemctl daemon-reload
for unit in ${units}; do
  systemctl is-active --quiet "$unit" || systemctl start "$unit"
  systemctl is-active --quiet "$unit" || { echo "$unit is not active" >&2; rc=1; }
done
exit $rc`
}
