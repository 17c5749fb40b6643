import { join } from 'node:path'
import { type Playbook, parsePlaybook } from '../engine/playbook.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { parseYaml } from '../yaml.ts'
import { MAX_TEXT_BYTES, readInput } from './input-file.ts'

/** Reads playbooks/NAME.yml of hactl's own package. */
export async function loadPlaybook(name: string, packageRoot: string, ports: Ports): Promise<Playbook> {
  const path = join(packageRoot, 'playbooks', `${name}.yml`)
  const file = await readInput(path, ports, MAX_TEXT_BYTES)
  if (file.kind !== 'read') throw missingPlaybook(path, file.kind === 'unusable' ? [file.why] : [])
  const document = parseYaml(file.bytes.toString('utf8'))
  if (document.problems.length > 0) {
    throw new HactlError({
      code: 'E_PLAYBOOK_INVALID',
      what: `${path} cannot be read`,
      why: document.problems.map(problem => `line ${problem.place?.line ?? 1}: ${problem.message}`),
      fix: `install hactl again, or undo what was changed in ${path}`,
    })
  }
  return parsePlaybook(document.value, path)
}

/** E_PLAYBOOK_INVALID for a missing file of hactl's own package. */
export function missingPlaybook(path: string, why: readonly string[] = []): HactlError {
  return new HactlError({
    code: 'E_PLAYBOOK_INVALID',
    what: `there is no playbook at ${path}`,
    why,
    fix: 'install hactl again: its playbooks/ folder is incomplete',
  })
}
