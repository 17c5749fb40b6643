import type { Script } from '../../ports.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { PROGRAM_DIR } from '../../state/places.ts'
import type { ServiceTable } from '../../state/services.ts'
import type { Waits } from '../limits.ts'
import { lockGuard } from '../lock.ts'
import { onState, STATE } from '../server-state/layout.ts'
import { APT_LOCK_SECONDS, DOWNLOADS } from './packages.ts'
import { alone, aloneVariables, OWN_TOOLS } from './switch.ts'

/**
 * Takes away from one server what hactl put there, and restores what stood there before: files, the sysctl's old value, units. A file that
 * was edited by hand since is kept beside as .edited. Packages that hactl installed go; those that they depend on stay, and apt-get autoremove
 * takes them. The service that holds the addresses goes first, so that they have left before any other service stops. A removal that was cut
 * off can be run again. `watchedFolder`: what one of the services watched.
 */
export function removeScript(
  lockId: string,
  { services, watchedFolder, waits }: { readonly services: ServiceTable; readonly watchedFolder: string; readonly waits: Waits },
): Script {
  const all = Object.values(services)
  const shipped = all.filter(({ shipsConfig }) => shipsConfig).map(({ config }) => config)
  const title = `let ${all.map(({ unit }) => unit).join(' and ')} load what is there now`
  const call = onState('remove.sh', {
    ...aloneVariables(waits),
    DOWNLOADS,
    OWN_TOOLS,
    PROGRAM_DIR,
    UNITS: all.map(({ unit }) => unit).join(' '),
    SHIPPED_CONFIGS: shipped.join(' '),
    APT_LOCK_SECONDS,
  })
  return joinScripts([
    lockGuard(lockId),
    alone(waits),
    // It may have waited for a switch that outlived its run until its own lock was lost.
    lockGuard(lockId),
    ...all.filter(({ holdsAddresses }) => holdsAddresses).map(({ unit, config }) => call`stop_first ${unit} ${config}`),
    call`give_files_back`,
    sh`give_sysctls_back`,
    sh`give_services_back ${title} ${watchedFolder} ${all.flatMap(({ unit, config, companion }) => [unit, config, companion])}`,
    sh`purge_packages`,
    sh`give_theirs_back`,
    sh`forget_server`,
  ])
}

/** Removes the empty folder that is left when the lock is released. */
export function forgetStateScript(): Script {
  return sh`rm -f ${STATE.LOCK_MUTEX}; rmdir ${STATE.STATE_DIR} 2>/dev/null; :`
}

const members = (waits: Waits) => onState('members.sh', aloneVariables(waits))

/** Ends with status 0 where this server's list of members has any of these lines. */
export function hasMembersScript(lines: readonly string[], waits: Waits): Script {
  return members(waits)`has_member ${lines}`
}

/** Takes these lines out of the list of members on a server that stays. hactl still owns the list. */
export function forgetMembersScript(lockId: string, lines: readonly string[], waits: Waits): Script {
  return joinScripts([lockGuard(lockId), alone(waits), members(waits)`forget_members ${lines}`])
}
