import { join } from 'node:path'
import { type Playbook, parsePlaybook } from '../engine/playbook.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import { parseYaml } from '../yaml.ts'

/** Reads playbooks/NAME.yml of hactl's own package. */
export async function loadPlaybook(name: string, packageRoot: string, ports: Ports): Promise<Playbook> {
  const path = join(packageRoot, 'playbooks', `${name}.yml`)
  const bytes = await ports.files.read(path)
  if (bytes === undefined)
    throw new HactlError({
      code: 'E_PLAYBOOK_INVALID',
      what: `there is no playbook at ${path}`,
      fix: 'install hactl again: its playbooks/ folder is missing',
    })
  const document = parseYaml(bytes.toString('utf8'))
  if (document.problems.length > 0) {
    throw new HactlError({
      code: 'E_PLAYBOOK_INVALID',
      what: `${path} cannot be read`,
      why: document.problems.map(problem => `${problem.place?.line ?? 1}: ${problem.message}`),
    })
  }
  return parsePlaybook(document.value, path)
}
