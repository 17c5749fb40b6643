import type { Script } from '../../ports.ts'
import type { Action, Unit } from '../../state.ts'
import { type HistoryEntry, recordScript, settleScript } from '../history.ts'
import { type LockClaim, lockGuard, lockGuardForUndo } from '../lock.ts'
import { STATE_DIR } from '../observe/script.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { constantShell } from './constant.ts'
import { STEP_FUNCTIONS } from './report.ts'
import { holdPath, previousPath, runDir, RUNS_DIR, stagedPath } from './run-dir.ts'
import { actionTitle } from './title.ts'

type ServiceAction = Extract<Action, { kind: 'service' }>

/** How a unit is reloaded and how the daemon itself (not systemctl) says that it runs what is on disk. Constants of the domain. */
export interface ServiceScripts {
  /** Shell lines run before a reload; may leave variables for `loaded`. */
  readonly beforeReload: string
  /** Shell lines that end with status 0 once the daemon has loaded the file, else print why and end with another. Bounded in time. */
  readonly loaded: string
  /** The same after a start. */
  readonly started: string
  /** Positional parameters of `loaded` and `started`: what comes from the inventory reaches them only quoted. */
  readonly expect: readonly string[]
}

export const FILE_CHANGED_STATUS = 98

// Longer than the proofs of both services take, shorter than the deadline of the script that waits.
const ALONE_WITHIN_SECONDS = 90

/**
 * Makes the prepared changes live on one server: files by rename, then the services, each believed only on the daemon's own word.
 * What it replaces is kept, with a record from which restoreScript puts everything back. `record` is true for the first switch of a run
 * on a server; a second part (keepalived, together with its peers) adds to it. `forget`: units that a later part will load.
 */
export function switchScript(
  runId: string,
  lockId: string,
  actions: readonly Action[],
  services: Readonly<Record<Unit, ServiceScripts>>,
  forget: readonly Unit[] = [],
): Script {
  const settled = actions.filter(action => action.kind !== 'install-package')
  const touchedUnits = settled.flatMap(action =>
    action.kind === 'service' && action.steps.some(step => step !== 'enable') ? [action.unit] : [],
  )
  const loadingUnits = settled.flatMap(action =>
    action.kind === 'service' && action.steps.some(step => step === 'reload' || step === 'start') ? [action.unit] : [],
  )
  return joinScripts([
    STEP_FUNCTIONS,
    RECORD_FUNCTIONS,
    sh`run=${runDir(runId)}; state=${STATE_DIR}; units_read=`,
    ALONE,
    // Whoever took the lock while this waited has looked at a server without these changes.
    lockGuard(lockId),
    sh`umask 077; mkdir -p "$run/previous" "$state/loaded"; umask 022`,
    sh`[ ! -e "$run/undone" ] || fail run ${'this run was already put back'}`,
    ...settled.map(preconditionScript),
    ...[...touchedUnits, ...forget].map(rememberUnitScript),
    // Forget before writing: a crash between the write and the reload must look like "not loaded", never like "loaded".
    ...[...loadingUnits, ...forget].map(unit => sh`rm -f "$state"/loaded/${unit}`),
    ...settled.map(action => actionScript(runId, action, services)),
  ])
}

/** Scripts of hactl's own that do something when they are called with "open", and undo it with "close": before they go. */
export const OWN_TOOLS = '/usr/local/sbin/hactl-'

/** linked COPY PATH: PATH becomes the link that was noted beside its COPY, if one was. What that leads to is its owner's. */
export const LINKED = sh`linked() { [ ! -e "$1.link" ] || ln -sfT -- "$(cat "$1.link")" "$2"; }`

// A switch outlives its connection: nothing may be put back, or changed by a later run, while it is still at work.
export const ALONE = sh`
exec 8>"$state/switch.mutex"
flock -w ${ALONE_WITHIN_SECONDS} 8 || fail run ${'another change of this server has not ended yet'}`

const RECORD_FUNCTIONS = sh`
# A cut connection must not stop a switch half way: what was begun here ends here.
trap '' PIPE HUP
sum() { sha256sum -- "$1" 2>/dev/null | { read -r s _; echo "$s"; }; }
# pristine PATH: the conffile as its package ships it; an installation in this same run has just put it there.
pristine() { dpkg-query -W -f='\${Conffiles}\n' haproxy keepalived 2>/dev/null | grep -qF " $1 $(md5sum -- "$1" 2>/dev/null | cut -c1-32)"; }
# own PATH [SHA256]: the record of what hactl wrote, replaced as a whole so that a crash leaves the old one or the new one. Written before
# the file itself: a crash in between must never make hactl's own file look like somebody else's.
own() {
  { grep -v "  $1\$" "$state/owned" 2>/dev/null; [ -z "$2" ] || printf '%s  %s\n' "$2" "$1"; } >"$state/owned.new" && mv -f "$state/owned.new" "$state/owned"
}
# link PATH COPY: where a link at PATH leads, noted beside its COPY, which has the content: a rename over PATH takes the link away.
link() { [ ! -L "$1" ] || readlink -- "$1" >"$2.link"; }
# original PATH: what stood there before hactl's first change, kept for good: hactl remove gives it back.
original() {
  [ -e "$1" ] && ! grep -q "  $1\$" "$state/owned" 2>/dev/null || return 0
  o="$state/original/$(printf %s "$1" | tr / _)"
  [ -e "$o" ] || { mkdir -p -m 0700 "$state/original" && link "$1" "$o" && cp -p -- "$1" "$o.new" && sync "$o.new" && mv -f "$o.new" "$o"; }
}
# keep PATH COPY: remembers what stands at PATH, once a run.
keep() {
  grep -q "^file . $1 " "$run/previous/record" 2>/dev/null && return
  if [ -e "$1" ]; then link "$1" "$2" && cp -p -- "$1" "$2" || return 1; printf 'file + %s %s\n' "$1" "$2"; else printf 'file - %s -\n' "$1"; fi >>"$run/previous/record" || return 1
  original "$1" || return 1
  [ -e "$run/previous/owned" ] || { [ ! -e "$state/owned" ] && : >"$run/previous/owned"; } || cp -p "$state/owned" "$run/previous/owned"
}`

function preconditionScript(action: Action): Script {
  if (action.kind !== 'write-file' && action.kind !== 'remove-file') return sh`:`
  const expected = action.beforeSha256 ?? ''
  return sh`[ "$(sum ${action.path})" = ${expected} ] || { [ -z ${expected} ] && pristine ${action.path}; } || { printf '@@fail %s changed since it was looked at\n' ${action.id}; exit ${FILE_CHANGED_STATUS}; }`
}

function rememberUnitScript(unit: Unit): Script {
  const state = sh`"$(systemctl is-active ${unit} 2>/dev/null || :)" "$(systemctl is-enabled ${unit} 2>/dev/null | grep . || echo unknown)"`
  return sh`
# What it was before hactl's first change, kept for good: hactl remove gives it back. With files of hactl's there it is too late for that.
[ -e "$state/owned" ] || grep -q ${`^${unit} `} "$state/original/units" 2>/dev/null || { mkdir -p -m 0700 "$state/original" && echo ${unit} ${state} >>"$state/original/units"; } || fail ${`service/${unit}`} ${'how it was could not be noted (disk full?)'}
grep -q ${`^unit ${unit} `} "$run/previous/record" 2>/dev/null || echo unit ${unit} ${state} "$(cat "$state"/loaded/${unit} 2>/dev/null)" >>"$run/previous/record" || fail ${`service/${unit}`} ${'how it was could not be noted (disk full?)'}`
}

function actionScript(runId: string, action: Action, services: Readonly<Record<Unit, ServiceScripts>>): Script {
  switch (action.kind) {
    case 'install-package':
      return sh`:`
    case 'write-file':
      return sh`
step ${action.id} ${actionTitle(action)}
keep ${action.path} ${previousPath(runId, action.path)} || fail ${action.id} ${'the old file could not be kept (disk full?)'}
mkdir -p "$(dirname ${action.path})"
cp -- ${stagedPath(runId, action.path)} ${newPath(action.path)} && chown ${`${action.owner}:${action.group}`} ${newPath(action.path)} && chmod ${action.mode} ${newPath(action.path)} && sync ${newPath(action.path)} || { rm -f ${newPath(action.path)}; fail ${action.id} ${'could not be written (disk full?)'}; }
${action.path.startsWith('/etc/systemd/') ? sh`units_read=` : sh`:`}
own ${action.path} "$(sum ${newPath(action.path)})" && mv -f ${newPath(action.path)} ${action.path} || fail ${action.id} ${'could not be renamed (disk full?)'}
${action.path.startsWith('/etc/tmpfiles.d/') ? sh`systemd-tmpfiles --create ${action.path} || fail ${action.id} ${'systemd-tmpfiles failed'}` : sh`:`}
done_ ${action.id}`
    case 'own-file':
      return sh`
step ${action.id} ${actionTitle(action)}
keep ${action.path} ${previousPath(runId, action.path)} || fail ${action.id} ${'the old file could not be kept (disk full?)'}
chown ${`${action.owner}:${action.group}`} ${action.path} && chmod ${action.mode} ${action.path} && own ${action.path} ${action.sha256} || fail ${action.id} ${'chown or chmod failed'}
done_ ${action.id}`
    case 'remove-file':
      return sh`
step ${action.id} ${actionTitle(action)}
keep ${action.path} ${previousPath(runId, action.path)} || fail ${action.id} ${'the old file could not be kept (disk full?)'}
${action.path.startsWith(OWN_TOOLS) ? sh`${action.path} close >/dev/null 2>&1` : sh`:`}
rm -f ${action.path} && own ${action.path} '' || fail ${action.id} ${'could not be removed'}
done_ ${action.id}`
    case 'set-sysctl':
      return sh`
step ${action.id} ${actionTitle(action)}
mkdir -p -m 0700 "$state/original"; grep -q ${`^${action.key} `} "$state/original/sysctl" 2>/dev/null || echo ${action.key} ${action.before ?? ''} >>"$state/original/sysctl"
grep -q ${`^sysctl ${action.key} `} "$run/previous/record" 2>/dev/null || echo sysctl ${action.key} ${action.before ?? ''} >>"$run/previous/record" || fail ${action.id} ${'how it was could not be noted (disk full?)'}
sysctl -q -w ${`${action.key}=${action.value}`} || fail ${action.id} ${'sysctl refused it'}
done_ ${action.id}`
    case 'open-firewall':
      return sh`
step ${action.id} ${actionTitle(action)}
[ -n "$units_read" ] || systemctl daemon-reload; units_read=yes
${action.script} open 2>&1 || fail ${action.id} ${'the rules could not be added'}
done_ ${action.id}`
    case 'service':
      return serviceScript(action, services[action.unit])
  }
}

function serviceScript(action: ServiceAction, scripts: ServiceScripts): Script {
  const { id, unit, steps } = action
  const has = (step: ServiceAction['steps'][number]) => steps.includes(step)
  const lines: Script[] = [sh`step ${id} ${actionTitle(action)}`]
  if (has('daemon-reload'))
    lines.push(sh`[ -n "$units_read" ] || systemctl daemon-reload || fail ${id} ${'systemctl daemon-reload failed'}; units_read=yes`)
  // An installation in this run has usually enabled it already, and to enable it again costs a second.
  if (has('enable'))
    lines.push(sh`systemctl is-enabled --quiet ${unit} || systemctl enable --quiet ${unit} 2>&1 || fail ${id} ${'systemctl enable failed'}`)
  const reload = sh`
${constantShell(scripts.beforeReload)}
systemctl reload ${unit} 2>&1 || { journalctl -q -n 8 -o cat -u ${unit}; fail ${id} ${'systemctl reload failed'}; }
${proof(unit, scripts.loaded, scripts.expect, id, 'it was told to reload, but does not run the new configuration')}`
  if (has('start')) {
    // To start what has come up by itself since the look does nothing, and it runs the old configuration.
    lines.push(sh`
if systemctl is-active --quiet ${unit}; then
${reload}
else
# Left behind by an installation that was cut off.
[ -e ${holdPath(unit)} ] && rm -f ${holdPath(unit)} && systemctl daemon-reload
systemctl reset-failed ${unit} 2>/dev/null
systemctl start ${unit} 2>&1 || { journalctl -q -n 8 -o cat -u ${unit}; fail ${id} ${'systemctl start failed'}; }
systemctl is-active --quiet ${unit} || { journalctl -q -n 8 -o cat -u ${unit}; fail ${id} ${'it is not active after its start'}; }
${proof(unit, scripts.started, scripts.expect, id, 'it started, but does not answer as it should')}
fi`)
  }
  if (has('reload')) lines.push(reload)
  if (action.whenActive !== '') lines.push(constantShell(action.whenActive))
  if (has('stamp'))
    lines.push(
      sh`printf '%s\n' ${action.loadedHash} >"$state"/loaded/${unit} || fail ${id} ${'what it has loaded could not be noted (disk full?)'}`,
    )
  lines.push(sh`done_ ${id}`)
  return joinScripts(lines)
}

function proof(unit: Unit, script: string, expect: readonly string[], id: string, complaint: string): Script {
  return sh`proof() {
${constantShell(script)}
}
proof ${expect} || { journalctl -q -n 8 -o cat -u ${unit}; fail ${id} ${complaint}; }`
}

function newPath(path: string): string {
  return `${path}.hactl-new`
}

/**
 * Puts back, from the record of this run, what the switch replaced on this server: files, ownership, kernel parameters, stamps, and the
 * services as they were (running ones reload the old file, those that did not run are stopped, those not enabled are so again). Safe to
 * run twice, and on a full disk: what did not change needs no room. Does nothing where another run has taken the lock over: it builds on
 * what it found, and may have changed it since.
 */
export function restoreScript(
  runId: string,
  lock: Pick<LockClaim, 'id' | 'owner'>,
  services: Readonly<Record<Unit, ServiceScripts>>,
): Script {
  const unitScript = (unit: Unit): Script => sh`
if grep -q ${`^unit ${unit} `} "$record"; then
  step ${`service/${unit}`} ${`put ${unit} back as it was`}
  set -- $(grep ${`^unit ${unit} `} "$record" | head -n 1)
  was=$3; at_boot=$4; loaded=\${5:-}
  rm -f "$state"/loaded/${unit}
  if [ "$was" = active ]; then
    if systemctl is-active --quiet ${unit}; then systemctl reload ${unit}; else systemctl reset-failed ${unit} 2>/dev/null; systemctl start ${unit}; fi
    answers_again() {
${constantShell(unit === 'haproxy' ? services[unit].started : ':')}
    }
    # Where hactl had not settled it before, its check may just have been taken away: then only that it runs is asked.
    if { [ -z "$loaded" ] || answers_again; } && systemctl is-active --quiet ${unit}; then [ -n "$loaded" ] && printf '%s\n' "$loaded" >"$state"/loaded/${unit}; [ "$at_boot" != disabled ] || systemctl disable --quiet ${unit}; done_ ${`service/${unit}`}; else failed=1; printf '@@fail %s does not answer after its old configuration was put back\n' ${`service/${unit}`}; fi
  else
    systemctl stop ${unit}; systemctl reset-failed ${unit} 2>/dev/null
    [ "$at_boot" != disabled ] || systemctl disable --quiet ${unit}
    done_ ${`service/${unit}`}
  fi
fi`
  return joinScripts([
    STEP_FUNCTIONS,
    sh`
trap '' PIPE HUP
run=${runDir(runId)}; state=${STATE_DIR}; record="$run/previous/record"; failed=0`,
    ALONE,
    lockGuardForUndo(lock, `${runDir(runId)}/previous/record`),
    sh`
umask 077; mkdir -p "$run"; umask 022
: >"$run/undone"
[ -e "$record" ] || exit 0
rm -rf "$run/staged"
step files ${'put the previous files back'}
${LINKED}
while read -r word mark path copy; do
  case "$word" in
    file) ;;
    sysctl) [ -z "$path" ] || sysctl -q -w "$mark=$path" || { failed=1; echo "$mark could not be set back to $path"; }; continue ;;
    *) continue ;;
  esac
  rm -f "$path.hactl-new"
  if [ "$mark" = + ] && [ ! -e "$copy.link" ] && cmp -s "$copy" "$path"; then
    chown "$(stat -c %u:%g -- "$copy")" "$path" && chmod "$(stat -c %a -- "$copy")" "$path" || failed=1
  elif [ "$mark" = + ]; then
    cp -p -- "$copy" "$path.hactl-new" && linked "$copy" "$path.hactl-new" && mv -f "$path.hactl-new" "$path" || { failed=1; echo "$path could not be put back; its copy is $copy"; }
    case "$path" in (${OWN_TOOLS}*) "$path" open >/dev/null 2>&1 </dev/null ;; esac
  else
    case "$path" in (${OWN_TOOLS}*) [ ! -x "$path" ] || "$path" close >/dev/null 2>&1 </dev/null ;; esac
    rm -f "$path"
  fi
done <"$record"
if [ -e "$run/previous/owned" ] && ! cmp -s "$run/previous/owned" "$state/owned"; then
  cp -p "$run/previous/owned" "$state/owned.new" && mv -f "$state/owned.new" "$state/owned" || { rm -f "$state/owned.new"; failed=1; echo "$state/owned could not be put back; its copy is $run/previous/owned"; }
fi
systemctl daemon-reload
done_ files`,
    unitScript('haproxy'),
    unitScript('keepalived'),
    sh`[ $failed = 0 ] || unless_stopping; exit $failed`,
  ])
}

/** After a run that proved itself: nothing staged, nothing kept but its entry in the history, of no earlier run that failed either. */
export function finishScript(entry: HistoryEntry, lockId: string): Script {
  return joinScripts([lockGuard(lockId), recordScript(entry), sh`rm -rf ${RUNS_DIR}`])
}

/** The same on a server where this run had nothing to do and an earlier one had died. */
export function finishDeadRunScript(lockId: string): Script {
  return joinScripts([sh`state=${STATE_DIR}`, ALONE, lockGuard(lockId), settleScript(RUNS_DIR)])
}
