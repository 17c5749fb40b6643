import type { Script } from '../../ports.ts'
import { joinScripts, sh } from '../../shell/sh.ts'
import { lockGuard } from '../lock.ts'
import { onState, STATE } from '../server-state/layout.ts'
import { DOWNLOADS } from './packages.ts'
import { ALONE, ALONE_VARIABLES, OWN_TOOLS, PROGRAM_DIR } from './switch.ts'

/**
 * Takes away from one server what hactl put there, and gives back what stood there before: files of its record (one edited by hand since
 * is kept beside as .edited), the sysctl's old value, units as they were, packages that hactl installed (what those depend on stays: apt-get
 * autoremove takes it). keepalived goes first, so that the address has left before haproxy stops. What was cut off is done again.
 */
export function removeScript(lockId: string, trackFolder: string): Script {
  const call = onState('remove.sh', { ...ALONE_VARIABLES, DOWNLOADS, OWN_TOOLS, PROGRAM_DIR })
  return joinScripts([
    lockGuard(lockId),
    ALONE,
    // It may have waited for a switch that outlived its run, until its own lock was gone.
    lockGuard(lockId),
    call`remove_hactl ${trackFolder}`,
  ])
}

/** After the lock was released: the empty folder. */
export function forgetStateScript(): Script {
  return sh`rm -f ${STATE.LOCK_MUTEX}; rmdir ${STATE.STATE_DIR} 2>/dev/null; :`
}

const members = onState('members.sh', ALONE_VARIABLES)

/** Ends with status 0 where this server's list of members has any of these lines. */
export function hasMembersScript(lines: readonly string[]): Script {
  return members`has_member ${lines}`
}

/** On a server that stays: these lines are taken out of its list of members, and the list remains hactl's own. */
export function forgetMembersScript(lockId: string, lines: readonly string[]): Script {
  return joinScripts([lockGuard(lockId), ALONE, members`forget_members ${lines}`])
}
