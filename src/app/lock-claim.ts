import { randomBytes } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import type { LockClaim } from '../engine/lock.ts'
import type { Ports } from '../ports.ts'

/** Who works on the cluster from now on, and what for, in the words of a lock file: letters, digits and . _ - @ only. */
export function lockClaim(reason: string, ports: Pick<Ports, 'clock' | 'env'>): LockClaim {
  const plain = (text: string) => text.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 64)
  const user = ports.env['USER'] ?? ports.env['LOGNAME'] ?? userInfo().username
  return { id: runIdFor(ports), owner: `${plain(user)}@${plain(hostname())}`, reason }
}

/**
 * Names a run. The time in UTC comes first, so that the history sorts by age. The three digits behind the dash are its milliseconds. Random
 * digits come last, so that two runs never share a folder.
 */
export function runIdFor({ clock }: Pick<Ports, 'clock'>): string {
  const now = new Date(clock.now())
  const time = now.toISOString().replace(/[-:]|[.]\d+/g, '')
  return `${time}-${now.getUTCMilliseconds().toString(16).padStart(3, '0')}${randomBytes(2).toString('hex').slice(1)}`
}
