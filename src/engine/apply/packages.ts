import type { Script } from '../../ports.ts'
import type { Action } from '../../state/plan.ts'
import { UNITS } from '../../state/units.ts'
import { lockGuard } from '../lock.ts'
import { onState } from '../server-state/layout.ts'
import { preparing, scratchPath } from '../server-state/run-folder.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { STEP_STATUSES } from './report.ts'
import { actionTitle } from './title.ts'

export type Install = Extract<Action, { kind: 'install-package' }>

// The longest apt may take: a slow mirror, or the lock held by unattended-upgrades for minutes on a first boot.
export const APT_LOCK_SECONDS = 600

/** Where downloads of hactl wait. It is apart from apt's own cache, which other programs empty at any time. */
export const DOWNLOADS = '/var/cache/apt/hactl'

/** Where packages are brought to the server, this file leads apt to them. */
export const APT_CONF = `${DOWNLOADS}/apt.conf`

/** The variables of every file of src/on-server that asks apt. */
export const APT_VARIABLES = { ...STEP_STATUSES, DOWNLOADS, CARRIED_CONF: APT_CONF, APT_LOCK_SECONDS, UNITS: UNITS.join(' ') }

const apt = onState('apt.sh', APT_VARIABLES)

/** A script that calls apt-get starts with it. The output of apt-get goes to the file. */
function beginApt(log: string): Script {
  return apt`begin_apt ${log}`
}

/** The arguments of apt-get: "haproxy", or "haproxy=2.6.*". */
function wordsFor(installs: readonly Install[]): readonly string[] {
  return installs.map(install => (install.pin === undefined ? install.name : `${install.name}=${install.pin}`))
}

/** Whether apt-get may replace an installed package by an older version, in the form that apt.sh takes. */
function mayReplace(installs: readonly Install[]): string {
  return installs.some(install => install.from !== undefined) ? 'yes' : ''
}

/** Removes downloads that no installation needs any more. While a run holds the lock they may be that run's, and stay. */
export function clearDownloadsScript(): Script {
  return apt`clear_downloads`
}

/**
 * Downloads packages and installs none. A version that no repository has, or a mirror that does not answer, fails here, before anything is
 * changed on any server. `isBrought`: a PackageSource has brought the packages, or the way to them.
 */
export function fetchScript(
  runId: string,
  lockId: string,
  installs: readonly Install[],
  options: { readonly refreshLists: boolean; readonly download: boolean; readonly isBrought: boolean },
): Script {
  const names = installs.map(install => install.name)
  const isRefreshed = options.refreshLists ? 'yes' : ''
  const title = `download ${names.join(' and ')}`
  return joinScripts([
    lockGuard(lockId),
    preparing(runId)`make_staged`,
    ...(options.isBrought ? [] : [sh`rm -rf ${DOWNLOADS}`]),
    beginApt(scratchPath(runId, 'fetch.log')),
    sh`downloads`,
    ...(options.refreshLists ? [sh`refresh_lists lenient`] : []),
    ...(options.download
      ? [sh`download_packages ${isRefreshed} ${title} ${names.join(' ')} ${mayReplace(installs)} ${wordsFor(installs)}`]
      : []),
  ])
}

/**
 * One apt-get for all packages. The units that hactl manages are held back meanwhile (decision 8): a half-configured service must not
 * start, and a server must not take part in VRRP before its peers know it.
 */
export function installLines(runId: string, installs: readonly Install[], finishDpkg: boolean): Script {
  const names = installs.map(install => install.name)
  const units = UNITS.filter(unit => names.includes(unit))
  const fresh = installs.filter(install => install.from === undefined).map(install => install.name)
  return joinScripts([
    beginApt(scratchPath(runId, 'apt.log')),
    sh`begin_installation ${fresh}`,
    sh`hold ${units}`,
    ...(finishDpkg || fresh.length < names.length ? [sh`systemctl daemon-reload`] : []),
    ...(finishDpkg ? [sh`finish_dpkg`] : []),
    sh`downloads`,
    ...installs.map(install => sh`step ${install.id} ${actionTitle(install)}`),
    sh`install_packages ${installs[0]?.id ?? 'package'} ${mayReplace(installs)} ${wordsFor(installs)}`,
    ...installs.map(install => sh`installed_as ${install.id} ${install.name}`),
  ])
}
