/** The exit status of a run that failed, from its errors and from whether anything was changed on any server. Nothing corrects it later. */
import { eachOf, EXIT_OF, type ErrorCode, type HactlError, worstOf } from './errors.ts'
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
