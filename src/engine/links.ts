/** The open connections of a run, each replaced by a new one when it is lost. */
import { EXIT_OF, HactlError } from '../errors.ts'
import type { Session } from '../ports.ts'

export interface Links {
  readonly servers: readonly string[]
  /** The sessions' own. */
  readonly patience: number
  /** The newest connection to a server, alive or not. Throws E_INTERNAL for a server that has none. */
  current(server: string): Session
  /** A connection newer than `lost`: one that another caller has opened meanwhile, or a new one. Throws as Remote.connect does. */
  renew(lost: Session, signal?: AbortSignal): Promise<Session>
}

/** The caller closes the sessions that are left. `connect` opens a new connection to one of their servers. */
export function createLinks(sessions: readonly Session[], connect: (server: string, signal?: AbortSignal) => Promise<Session>): Links {
  const current = new Map(sessions.map(session => [session.server, session]))
  const renewing = new Map<string, Promise<Session>>()
  const currentOf = (server: string): Session => {
    const session = current.get(server)
    if (session === undefined) throw new HactlError({ code: 'E_INTERNAL', what: `there is no connection to ${server}`, server })
    return session
  }
  const renew = async (lost: Session, signal?: AbortSignal): Promise<Session> => {
    const session = await connect(lost.server, signal)
    current.set(lost.server, session)
    await lost.close().catch(() => undefined)
    return session
  }
  return {
    servers: sessions.map(session => session.server),
    patience: patienceOf(sessions),
    current: currentOf,
    async renew(lost, signal) {
      const newest = currentOf(lost.server)
      if (newest !== lost) return newest
      const others = renewing.get(lost.server)
      if (others !== undefined) {
        // Another caller's attempt may end with that caller's signal. Then this caller tries.
        const session = await others.catch(() => undefined)
        if (session !== undefined) return session
      }
      const attempt = renew(lost, signal).finally(() => renewing.delete(lost.server))
      renewing.set(lost.server, attempt)
      return attempt
    },
  }
}

/** That of a run with these sessions: all of them are the same run's. */
function patienceOf(sessions: Iterable<Session>): number {
  return Math.max(1, ...[...sessions].map(session => session.patience))
}

/** Whether a fault is one of the connection: the server may be gone, and the command need not have been wrong. */
export function isLoss(fault: unknown): boolean {
  return (
    fault instanceof HactlError && (fault.code === 'E_CONNECTION_LOST' || fault.code === 'E_COMMAND_TIMEOUT' || EXIT_OF[fault.code] === 4)
  )
}
