import type { Script } from '../../ports.ts'
import { PROGRAM_DIR } from '../../state/places.ts'
import type { Action } from '../../state/plan.ts'
import type { ManagedService, ServiceTable } from '../../state/services.ts'
import type { Unit } from '../../state/units.ts'
import { type HistoryEntry, recordScript, settleScript } from '../history.ts'
import { aloneWithinSeconds, type Waits } from '../limits.ts'
import { type LockClaim, lockGuard, lockGuardForUndo } from '../lock.ts'
import { onState, STATE } from '../server-state/layout.ts'
import { previousPath, recordPath, runFolder, stagedPath } from '../server-state/run-folder.ts'
import { evalWord, joinScripts, sh } from '../../shell/sh.ts'
import { STEP_STATUSES } from './report.ts'
import { actionTitle } from './title.ts'

type ServiceAction = Extract<Action, { kind: 'service' }>

export const FILE_CHANGED_STATUS = 98

/** Scripts of hactl's own that do something when they are called with "open". They are called with "close" before they are removed. */
export const OWN_TOOLS = '/usr/local/sbin/hactl-'

/** The variables of every file of src/on-server that waits until no switch is at work. */
export const aloneVariables = (waits: Waits) => ({ ...STEP_STATUSES, ALONE_WITHIN_SECONDS: aloneWithinSeconds(waits) })

/** Waits until no switch is at work on the server, and keeps others out until the script ends. */
export const alone = (waits: Waits): Script => onState('alone.sh', aloneVariables(waits))`alone`

/** `forget`: units that a later part of the same switch will load. */
export interface SwitchOn {
  readonly services: ServiceTable
  readonly waits: Waits
  readonly forget?: readonly Unit[]
}

/**
 * Makes the prepared changes live on one server: files by rename, then the services. A service counts as changed when the daemon itself says
 * so. What it replaces is kept, with a record from which restoreScript restores everything. A later part of the same switch adds to the
 * record.
 */
export function switchScript(
  runId: string,
  lockId: string,
  actions: readonly Action[],
  { services, waits, forget = [] }: SwitchOn,
): Script {
  const settled = actions.filter(action => action.kind !== 'install-package')
  const touchedUnits = settled.flatMap(action =>
    action.kind === 'service' && action.steps.some(step => step !== 'enable') ? [action.unit] : [],
  )
  const loadingUnits = settled.flatMap(action =>
    action.kind === 'service' && action.steps.some(step => step === 'reload' || step === 'start') ? [action.unit] : [],
  )
  const call = onState('switch.sh', {
    ...aloneVariables(waits),
    THIS_RUN: runFolder(runId),
    FILE_CHANGED_STATUS,
    OWN_TOOLS,
    PROGRAM_DIR,
    UNITS: Object.keys(services).join(' '),
  })
  return joinScripts([
    alone(waits),
    // Another run may have taken the lock while this waited, and has seen a server without these changes.
    lockGuard(lockId),
    call`begin_switch`,
    ...settled.flatMap(action =>
      action.kind === 'write-file' || action.kind === 'remove-file'
        ? [sh`unchanged ${action.id} ${action.path} ${action.beforeSha256 ?? ''}`]
        : [],
    ),
    ...[...touchedUnits, ...forget].map(unit => sh`remember_unit ${unit}`),
    // The stamp goes before the file is written (decision 4): a crash before the reload must look like "not loaded", never like "loaded".
    ...[...loadingUnits, ...forget].map(unit => sh`rm -f ${`${STATE.LOADED_DIR}/${unit}`}`),
    ...settled.map(action => actionScript(runId, action, services)),
  ])
}

/** A call of switch.sh. */
function actionScript(runId: string, action: Action, services: ServiceTable): Script {
  const what = [action.id, actionTitle(action)]
  switch (action.kind) {
    case 'install-package':
      return sh`:`
    case 'write-file': {
      const { path, owner, group, mode } = action
      return sh`put_file ${what} ${path} ${stagedPath(runId, path)} ${previousPath(runId, path)} ${`${owner}:${group}`} ${mode}`
    }
    case 'own-file': {
      const { path, owner, group, mode, sha256 } = action
      return sh`own_file ${what} ${path} ${previousPath(runId, path)} ${`${owner}:${group}`} ${mode} ${sha256}`
    }
    case 'remove-file':
      return sh`remove_file ${what} ${action.path} ${previousPath(runId, action.path)}`
    case 'set-sysctl':
      return sh`put_sysctl ${what} ${action.key} ${action.value} ${action.before ?? ''}`
    case 'open-tool':
      return sh`open_tool ${what} ${action.script}`
    case 'service':
      return serviceScript(action, services[action.unit])
  }
}

function serviceScript(action: ServiceAction, scripts: ManagedService): Script {
  const { companion } = scripts
  const { id, unit, steps } = action
  const has = (step: ServiceAction['steps'][number]) => steps.includes(step)
  const lines: Script[] = [sh`step ${id} ${actionTitle(action)}`]
  if (has('daemon-reload')) lines.push(sh`read_units || fail ${id} ${'systemctl daemon-reload failed'}`)
  if (has('enable')) lines.push(sh`enable_unit ${id} ${unit}`)
  if (has('start') || has('reload')) {
    lines.push(sh`service_calls ${[scripts.beforeReload, scripts.loaded, scripts.started].map(evalWord)}`)
  }
  if (has('start')) lines.push(sh`start_unit ${id} ${unit}`)
  if (has('reload')) lines.push(sh`reload_unit ${id} ${unit}`)
  lines.push(...action.whenActive)
  if (has('stamp')) lines.push(sh`stamp ${id} ${unit} ${action.loadedHash}`)
  lines.push(sh`settle_companion ${unit} ${companion} || fail ${id} ${`${companion} does not start`}`, sh`done_ ${id}`)
  return joinScripts(lines)
}

/**
 * Restores, from the record of this run, what the switch replaced on this server: files, ownership, kernel parameters, stamps and services. A
 * service that ran reloads the old file. One that did not run is stopped, and one that was not enabled is disabled. Does nothing where another
 * run has taken the lock: it builds on what it found, and may have changed it since.
 */
export function restoreScript(runId: string, lock: Pick<LockClaim, 'id' | 'owner'>, { services, waits }: Omit<SwitchOn, 'forget'>): Script {
  const call = onState('restore.sh', { ...aloneVariables(waits), THIS_RUN: runFolder(runId), OWN_TOOLS, PROGRAM_DIR })
  return joinScripts([
    alone(waits),
    lockGuardForUndo(lock, recordPath(runId)),
    call`begin_restore`,
    sh`put_files_back`,
    ...Object.values(services).flatMap(({ unit, companion, putBack }) => [sh`put_unit_back ${unit} ${companion} ${evalWord(putBack)}`]),
    sh`end_restore`,
  ])
}

/** After a run that succeeded: writes its entry in the history, and removes what this run and failed runs before it have kept. */
export function finishScript(entry: HistoryEntry, lockId: string): Script {
  return joinScripts([lockGuard(lockId), recordScript(entry), sh`rm -rf ${STATE.RUNS_DIR}`])
}

/** The same on a server where this run had nothing to do and an earlier run died. */
export function finishDeadRunScript(lockId: string, waits: Waits): Script {
  return joinScripts([alone(waits), lockGuard(lockId), settleScript()])
}
