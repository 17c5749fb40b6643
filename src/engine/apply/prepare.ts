import type { Script } from '../../ports.ts'
import type { Action } from '../../state.ts'
import { base64Literal, joinScripts, sh } from '../ssh/sh.ts'
import { actionTitle } from './title.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { lockGuard } from '../lock.ts'
import { STATE_DIR } from '../observe/script.ts'
import { holdPath, runDir, stagedPath } from './run-dir.ts'

type Install = Extract<Action, { kind: 'install-package' }>
type WriteFile = Extract<Action, { kind: 'write-file' }>

// The longest apt may take: a slow mirror, or the lock held by unattended-upgrades for minutes on a first boot.
const APT_LOCK_SECONDS = 600

/**
 * Brings one server to the point where the switch is only renames and reloads: packages installed (services not started by the
 * installation), new files staged beside the live ones and accepted by the programs that will read them. Touches nothing that runs.
 */
export function prepareScript(
  runId: string,
  lockId: string,
  actions: readonly Action[],
  refreshLists: boolean,
  finishDpkg: boolean,
): Script {
  const installs = actions.filter((action): action is Install => action.kind === 'install-package')
  const writes = actions.filter((action): action is WriteFile => action.kind === 'write-file')
  return joinScripts(
    [
      STEP_FUNCTIONS,
      lockGuard(lockId),
      sh`umask 077; mkdir -p ${runDir(runId)}/staged; umask 022`,
      ...(installs.length > 0 ? [installScript(runId, installs, refreshLists, finishDpkg)] : []),
      ...writes.map(write => stageScript(runId, write)),
      ...writes.flatMap(write => (write.validation === undefined ? [] : [validateScript(runId, write, writes)])),
    ],
    '\n',
  )
}

/**
 * One apt-get for all packages, in a session of its own: an interrupted run or a lost connection must not kill dpkg half way. The units are
 * held back meanwhile: a half-configured service must not start, and a server must not take part in VRRP before its peers know it.
 * needrestart and debconf would wait for an answer nobody gives (operations: F47-F50).
 */
function installScript(runId: string, installs: readonly Install[], refreshLists: boolean, finishDpkg: boolean): Script {
  const names = installs.map(install => install.name)
  const holds = names.map(holdPath)
  const log = `${runDir(runId)}/apt.log`
  const options = sh`-q -o DPkg::Lock::Timeout=${APT_LOCK_SECONDS} -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0`
  return sh`
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
release() { for hold in ${holds}; do rm -f "$hold"; rmdir "\${hold%/*}" 2>/dev/null; done; systemctl daemon-reload; }
apt_failed() { tail -n 15 ${log}; release; fail "$1" "apt-get ended with status $2"; }
for hold in ${holds}; do mkdir -p "\${hold%/*}" && printf '[Unit]\nConditionPathExists=/nowhere\n' >"$hold"; done
${finishDpkg ? sh`systemctl daemon-reload` : sh`:`}
${finishDpkg ? sh`step package/dpkg ${'finish the interrupted package installation'}; dpkg --force-confdef --force-confold --configure -a >>${log} 2>&1 || apt_failed package/dpkg $?; done_ package/dpkg` : sh`:`}
${
  refreshLists
    ? sh`step package/lists ${'refresh the package lists'}
i=0
while :; do
  # Nobody reads descriptions here: no translations are fetched, and none that are there are removed.
  setsid -w apt-get update ${options} -o Acquire::Languages=none -o APT::Get::List-Cleanup=false >${log} 2>&1; rc=$?
  [ $rc -eq 0 ] && break
  # The lock of the lists, unlike dpkg's, has no timeout of its own.
  grep -q 'Could not get lock' ${log} && [ $i -lt ${APT_LOCK_SECONDS / 2} ] || apt_failed package/lists $rc
  sleep 2; i=$((i+1))
done
done_ package/lists`
    : sh`:`
}
${joinScripts(
  installs.map(install => sh`step ${install.id} ${actionTitle(install)}`),
  '\n',
)}
setsid -w apt-get install -y --no-install-recommends ${options} ${names} >>${log} 2>&1 || apt_failed ${installs[0]?.id ?? 'package'} $?
release
printf '%s\n' ${names} >>${`${STATE_DIR}/installed`}
${joinScripts(
  installs.map(install => sh`dpkg-query -W -f=${'${Version}\\n'} ${install.name}; done_ ${install.id}`),
  '\n',
)}`
}

function stageScript(runId: string, write: WriteFile): Script {
  const staged = stagedPath(runId, write.path)
  // The check refuses a script that others could write; its staged copy must have the mode of the real one.
  return sh`printf %s ${base64Literal(write.after, { mask: true })} | base64 -d >${staged} && chmod ${write.mode} ${staged} || fail staging ${`${write.path} could not be staged (disk full?)`}`
}

/** A check is no change: it must not look like one in what a run tells of itself. */
function checkId(write: WriteFile): string {
  return write.id.replace(/^file\//, 'check/')
}

function validateScript(runId: string, write: WriteFile, writes: readonly WriteFile[]): Script {
  const validation = write.validation
  if (validation === undefined) return sh`:`
  const staged = stagedPath(runId, write.path)
  const together = validation.alsoStaged.filter(path => writes.some(other => other.path === path))
  const candidate = together.length === 0 ? staged : `${staged}.check`
  const substitutions = together.map(path => `s|${path}|${stagedPath(runId, path)}|g`)
  const argv = validation.argv.map(word => (word === '{}' ? candidate : word))
  return sh`
step ${checkId(write)} ${`check the new ${write.path}`}
${together.length === 0 ? sh`:` : sh`sed ${substitutions.flatMap(text => ['-e', text])} ${staged} >${candidate}`}
out=$(${argv} 2>&1); rc=$?
${validation.mustBeSilent ? sh`[ $rc -eq 0 ] && [ -n "$out" ] && rc=complaints` : sh`:`}
[ -n "$out" ] && printf '%s\n' "$out" | sed -e ${`s|${candidate}|${write.path}|g`} -e ${`s|${runDir(runId)}/staged/||g`} | tail -n 20
[ "$rc" = 0 ] || fail ${checkId(write)} ${`${write.path} was refused by ${validation.argv[0] ?? ''}`}
done_ ${checkId(write)}`
}
