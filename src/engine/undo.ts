/** The undo of a change on one server: tried over new connections, for a bounded time, whatever else ended the run. */
import { asHactlError, type HactlError } from '../errors.ts'
import type { Clock, Session } from '../ports.ts'
import { UNDO_RETRY_MS } from './limits.ts'
import { isLoss, type Links } from './links.ts'

export interface Undoing {
  readonly server: string
  readonly links: Links
  readonly clock: Clock
  /** No attempt starts after this moment of the clock's monotonic axis. */
  readonly endMs: number
  /** After so many attempts that failed over a connection that held, no other is made. */
  readonly maxRefusals: number
  /** One attempt: undefined where all is undone, else why the server refused it. Throws what Session.run throws, and its own refusals. */
  readonly attempt: (session: Session) => Promise<readonly string[] | undefined>
  /** Called after every attempt that a lost connection ended. */
  readonly onLost?: () => void
  /** E_UNDO_FAILED, which says what an operator does. `why`: of all attempts, in order; `thrown`: the last error, if there was one. */
  readonly failed: (why: readonly string[], thrown: unknown) => HactlError
}

/** Resolves once an attempt has undone it. No signal stops it. Throws `failed`. */
export async function undo(undoing: Undoing): Promise<void> {
  const { links, clock, endMs, maxRefusals } = undoing
  const why: string[] = []
  let refusals = 0
  let session = links.current(undoing.server)
  let isLost = false
  let thrown: unknown
  for (;;) {
    try {
      if (isLost) session = await links.renew(session)
      isLost = false
      const refusal = await undoing.attempt(session)
      if (refusal === undefined) return
      refusals++
      why.push(...refusal)
    } catch (error) {
      thrown = error
      isLost = isLoss(error)
      if (isLost) undoing.onLost?.()
      else refusals++
      why.push(asHactlError(error).message)
    }
    if (refusals >= maxRefusals || clock.monotonic() + UNDO_RETRY_MS > endMs) throw undoing.failed(why, thrown)
    await clock.sleep(UNDO_RETRY_MS)
  }
}
