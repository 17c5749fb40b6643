import type { Script } from '../../ports.ts'
import { sh } from '../../shell/sh.ts'

/**
 * Shell text of hactl's own, constant at build time (a resource's whenActive), as a Script. Never call it with anything that came from
 * outside: nothing in it is quoted. It still passes sh's check that no quote is left open.
 */
export function constantShell(constant: string): Script {
  return sh(Object.assign([constant], { raw: [constant.replaceAll('\\', '\\\\')] }))
}
