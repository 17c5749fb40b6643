/** The exit status of a run that failed: what its errors say, and whether anything was changed on any server. Nothing corrects it later. */
import { EXIT_OF, type ErrorCode, type HactlError, HactlErrors, worstOf } from './errors.ts'
import type { Ports } from './ports.ts'

export type RunState = Pick<Ports, 'ledger' | 'signal'>

/** What a run that stops with this code ends with. */
function statusOf(code: ErrorCode, { ledger, signal }: RunState): number {
  const status = EXIT_OF[code]
  if (code === 'E_INTERRUPTED') return signal.reason === 'SIGTERM' ? 143 : status
  const { hasChanged } = ledger
  // What says of itself that nothing was changed says too little once something has been.
  if (status === 3 || status === 4 || status === 5) return hasChanged ? 6 : status
  // Before any change a lost connection is like one that never stood, and what a server says against the work is no more than that.
  if (status === 6 && !hasChanged) return code === 'E_CONNECTION_LOST' || code === 'E_COMMAND_TIMEOUT' ? 4 : 5
  return status
}

/** The exit status, and which of several errors decides it. */
export function verdictOn(error: HactlError, run: RunState): { readonly exit: number; readonly worst: HactlError } {
  const worst = worstOf(eachOf(error), code => statusOf(code, run))
  return { exit: statusOf(worst.code, run), worst }
}

function eachOf(error: HactlError): readonly HactlError[] {
  return error instanceof HactlErrors ? error.errors.flatMap(eachOf) : [error]
}
