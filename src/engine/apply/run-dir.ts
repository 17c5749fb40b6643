import { type sh, shWith } from '../../shell/sh.ts'
import { STATE_DIR } from '../observe/script.ts'
import { STEP_STATUSES } from './report.ts'

export const RUNS_DIR = `${STATE_DIR}/runs`

/** Where one run keeps what it stages and what it replaced, on each server (root only). */
export function runDir(runId: string): string {
  return `${RUNS_DIR}/${runId}`
}

/** Where the candidate of a file waits: under its own name, so that a checker's messages read well. */
export function stagedPath(runId: string, path: string): string {
  return `${runDir(runId)}/staged/${flatName(path)}`
}

/** Where the replaced file is kept until the run has proven itself. */
export function previousPath(runId: string, path: string): string {
  return `${runDir(runId)}/previous/${flatName(path)}`
}

/** As `sh`, for a script that prepares a run on a server. */
export function preparing(runId: string): typeof sh {
  return shWith('prepare.sh', { ...STEP_STATUSES, THIS_RUN: runDir(runId) })
}

// Two drop-ins are both called hactl.conf: the folder's name keeps them apart.
function flatName(path: string): string {
  const parts = path.split('/').filter(part => part !== '')
  const name = parts.pop() ?? 'file'
  const folder = parts.pop() ?? ''
  return folder.endsWith('.d') ? `${folder}--${name}` : name
}
