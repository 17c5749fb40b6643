import { HactlError } from '../errors.ts'
import type { Session } from '../ports.ts'
import type { ObservedNode } from '../state/observed.ts'
import { LOOK_DEADLINE_MS } from './limits.ts'
import { parseProbe } from './observe/parse.ts'
import { type ProbeRequest, probeScript } from './observe/script.ts'

/** Reads all facts of one server in one ssh exec. Throws E_PROBE_CUT and what Session.run throws. */
export async function observeNode(session: Session, request: ProbeRequest, signal?: AbortSignal): Promise<ObservedNode> {
  const result = await session.run(probeScript(request, session.patience), {
    effect: 'none',
    label: 'read the facts of this server',
    deadlineMs: LOOK_DEADLINE_MS,
    signal,
    hasSecretOutput: true,
  })
  try {
    return parseProbe(session.server, result.stdout, request)
  } catch (error) {
    if (error instanceof HactlError && result.stderr.trim() !== '') {
      throw new HactlError({
        code: error.code,
        server: session.server,
        what: error.message,
        why: [...error.why, ...result.stderr.trim().split('\n').slice(-3)],
        ...(error.fix === undefined ? {} : { fix: error.fix }),
        cause: error,
      })
    }
    throw error
  }
}
