/** The exit status of a run: from its errors and from whether anything was changed on any server, or from what its report found. */
import { eachOf, EXIT_OF, type ErrorCode, type HactlError, worstOf, worstStatus } from './errors.ts'
import type { Ports } from './ports.ts'

export type RunState = Pick<Ports, 'ledger' | 'signal'>

/** The exit status of a run that stops with this code. */
function statusOf(code: ErrorCode, { ledger, signal }: RunState): number {
  const status = EXIT_OF[code]
  if (code === 'E_INTERRUPTED') return signal.reason === 'SIGTERM' ? 143 : status
  const { hasChanged } = ledger
  // The status of this code means that nothing was changed, which is wrong once something was.
  if (status === 3 || status === 4 || status === 5) return hasChanged ? 6 : status
  // Before any change a lost connection is the same as one that was never made, and a server that refuses the work has only refused it.
  if (status === 6 && !hasChanged) return code === 'E_CONNECTION_LOST' || code === 'E_COMMAND_TIMEOUT' ? 4 : 5
  return status
}

/** The exit status, and which of several errors decides it. */
export function verdictOn(error: HactlError, run: RunState): { readonly exit: number; readonly worst: HactlError } {
  const worst = worstOf(eachOf(error), code => statusOf(code, run))
  return { exit: statusOf(worst.code, run), worst }
}

/**
 * The exit status of a command that came to its end, from the codes of what its report found; 0 without any. Whether something was changed
 * before does not count: a drill that was refused changed nothing, and what the drills before it changed is restored (decision 31).
 */
export function statusOfFindings(codes: readonly ErrorCode[]): number {
  return worstStatus(codes.map(code => EXIT_OF[code]))
}
