/** What an upgrade does on one server beyond a deploy: it asks what apt would do, tries the new versions, and recovers from a failure. */
import type { Script } from '../../ports.ts'
import type { Action } from '../../state/plan.ts'
import type { ServiceTable } from '../../state/services.ts'
import type { Unit } from '../../state/units.ts'
import { lockGuard } from '../lock.ts'
import { onState, STATE } from '../server-state/layout.ts'
import { preparing, scratchPath } from '../server-state/run-folder.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { APT_VARIABLES, clearDownloadsScript } from './packages.ts'
import { stageScript, validateScript } from './prepare.ts'

type WriteFile = Extract<Action, { kind: 'write-file' }>

const upgrade = onState('upgrade.sh', APT_VARIABLES)

/** What apt would do on one server. */
export interface UpgradeOutlook {
  /** The packages that were asked for and would be replaced, with the installed version and the new one. */
  readonly upgrades: readonly { readonly name: string; readonly from: string; readonly to: string }[]
  /** Other packages that would be installed or replaced with them: "liblua5.3-0 5.3.6-2". */
  readonly others: readonly string[]
  readonly removed: readonly string[]
  /** Packages that the operator holds (apt-mark(8) hold). */
  readonly held: readonly string[]
  /** Whether an earlier upgrade ended in this server's turn; drained: it had drained the server. */
  readonly started: 'no' | 'started' | 'drained'
}

/**
 * Refreshes the package lists and asks apt what it would do. Installs nothing. `words` are arguments of apt-get: "haproxy=2.6.*". `isBrought`:
 * a PackageSource has brought the packages, or the way to them.
 */
export function outlookScript(words: readonly string[], isBrought: boolean): Script {
  const names = words.map(word => word.replace(/=.*/, ''))
  return joinScripts([
    // This run holds no lock yet, and another run may be about to install the downloads.
    ...(isBrought ? [] : [clearDownloadsScript()]),
    upgrade`begin_outlook`,
    sh`downloads`,
    sh`refresh_lists strict`,
    sh`outlook ${names.join(' ')} ${words}`,
  ])
}

/** apt-get(8), -s: "Inst NAME [OLD] (NEW ORIGIN [ARCH])", without [OLD] where it is new, and "Remv NAME [OLD]". */
export function parseOutlook(lines: readonly string[], names: readonly string[]): UpgradeOutlook {
  const found = lines.flatMap(line => {
    const match = /^Inst (\S+) (?:\[(\S+)\] )?\((\S+)/.exec(line)
    return match === null ? [] : [{ name: match[1] ?? '', from: match[2] ?? '', to: match[3] ?? '' }]
  })
  const words = (prefix: string) => lines.flatMap(line => (line.startsWith(prefix) ? [line.slice(prefix.length).trim()] : []))
  const started = words('@@upgrading ')[0]
  return {
    upgrades: found.filter(({ name }) => names.includes(name)),
    others: found.filter(({ name }) => !names.includes(name)).map(({ name, to }) => `${name} ${to}`),
    removed: words('Remv ').map(rest => rest.split(' ')[0] ?? rest),
    held: words('@@held '),
    started: started === undefined ? 'no' : started === 'drained' ? 'drained' : 'started',
  }
}

/**
 * Unpacks the downloaded programs beside the installed ones, and lets them judge the files that they will read. Installs nothing and touches
 * nothing that runs. A configuration that the new version refuses stops the upgrade on all servers.
 */
export function trialScript(runId: string, lockId: string, files: readonly WriteFile[]): Script {
  const root = scratchPath(runId, 'try')
  return joinScripts([
    lockGuard(lockId),
    preparing(runId)`make_staged`,
    upgrade`unpack_trial ${root}`,
    ...files.map(write => stageScript(runId, write)),
    ...files.flatMap(write => validateScript(runId, write, files)),
    sh`rm -rf ${root}`,
  ])
}

/**
 * The mark stands on a server from before the first change of its turn until after the last, so that a later run knows what to finish. It says
 * whether the upgrade itself has drained the server.
 */
export function markScript(lockId: string, word: 'started' | 'drained'): Script {
  return joinScripts([lockGuard(lockId), upgrade`put_mark ${word}`])
}

export function unmarkScript(): Script {
  return sh`rm -f ${STATE.UPGRADING}`
}

/** For a server without a track file: the service that holds the addresses stops and says so to its peers, and a backup takes them. */
export function stopHolderScript(lockId: string, services: ServiceTable): Script {
  const holders = Object.values(services).filter(({ holdsAddresses }) => holdsAddresses)
  return joinScripts([lockGuard(lockId), ...holders.map(({ unit }) => upgrade`stop_holder ${unit}`)])
}

/** After a turn that failed. The installed services run again, but the server takes no address. */
export function startAgainScript(units: readonly Unit[]): Script {
  return upgrade`start_again ${units}`
}
