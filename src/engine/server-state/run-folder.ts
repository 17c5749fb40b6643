import type { sh } from '../../shell/sh.ts'
import { STEP_STATUSES } from '../apply/report.ts'
import { copyName } from './copy-name.ts'
import { onState, STATE } from './layout.ts'

/** Where one run keeps what it stages and what it replaced, on each server (root only). */
export function runFolder(runId: string): string {
  return `${STATE.RUNS_DIR}/${runId}`
}

/** Where the candidate of a file waits. */
export function stagedPath(runId: string, path: string): string {
  return `${runFolder(runId)}/${STATE.STAGED_IN_RUN}/${copyName(path)}`
}

/** Where the replaced files are kept until the run has proven itself. */
export function previousFolder(runId: string): string {
  return `${runFolder(runId)}/${STATE.PREVIOUS_IN_RUN}`
}

export function previousPath(runId: string, path: string): string {
  return `${previousFolder(runId)}/${copyName(path)}`
}

/** There from the first replaced file on, until a run ends well on this server. */
export function recordPath(runId: string): string {
  return `${runFolder(runId)}/${STATE.RECORD_IN_RUN}`
}

/** Where a file of this name, a log or a trial, may stand until the run ends. */
export function scratchPath(runId: string, name: 'apt.log' | 'fetch.log' | 'try'): string {
  return `${runFolder(runId)}/${name}`
}

/** As `sh`, for a script that prepares a run on a server. */
export function preparing(runId: string): typeof sh {
  return onState('prepare.sh', { ...STEP_STATUSES, THIS_RUN: runFolder(runId) })
}
