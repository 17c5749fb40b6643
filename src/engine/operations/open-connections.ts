import type { Session } from '../../ports.ts'
import { sh } from '../../shell/sh.ts'

/** TCP connections that are established through the address right now; undefined where the server cannot count them. */
export async function connectionsOn(session: Session, address: string, signal: AbortSignal): Promise<number | undefined> {
  const result = await session.run(sh`ss -Htn state established src ${address} | wc -l`, {
    effect: 'none',
    label: 'count the open connections',
    deadlineMs: 10_000,
    signal,
  })
  const count = Number(result.stdout.trim())
  return result.code === 0 && Number.isInteger(count) ? count : undefined
}
