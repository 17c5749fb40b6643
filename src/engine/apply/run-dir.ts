import { STATE_DIR } from '../observe/script.ts'

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

/**
 * While its package is installed a unit must not start: a drop-in of systemd's run-time folder with a condition that never holds. Unlike
 * a mask it lets the package enable its unit; like one it is gone after a reboot.
 */
export function holdPath(unit: string): string {
  return `/run/systemd/system/${unit}.service.d/hactl-hold.conf`
}

// Two drop-ins are both called hactl.conf: the folder's name keeps them apart.
function flatName(path: string): string {
  const parts = path.split('/').filter(part => part !== '')
  const name = parts.pop() ?? 'file'
  const folder = parts.pop() ?? ''
  return folder.endsWith('.d') ? `${folder}--${name}` : name
}
