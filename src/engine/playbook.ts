import { HactlError } from '../errors.ts'

/** What must hold before a roll-out goes on. */
export type GateName = 'services-healthy' | 'one-holder' | 'vip-answers'

export interface Stage {
  readonly stage: string
  /** parallel: all servers together; master-last: one by one, the holder of a virtual address last. */
  readonly rollout: 'parallel' | 'master-last'
  /** Resource ids, in the order in which they are settled: packages where servers are prepared in parallel, all others master-last. */
  readonly tasks: readonly string[]
  readonly gates: readonly GateName[]
}

/** At most one stage installs packages, and at most one settles the rest: no task can be skipped, or done twice. */
export interface Playbook {
  readonly playbook: string
  readonly version: 1
  readonly stages: readonly Stage[]
}

const GATES: readonly GateName[] = ['services-healthy', 'one-holder', 'vip-answers']
const STAGE_KEYS = ['stage', 'rollout', 'tasks', 'gates']

/** A playbook from parsed YAML. The vocabulary is closed: every unknown word is an error (E_PLAYBOOK_INVALID). */
export function parsePlaybook(value: unknown, path: string): Playbook {
  const problems: string[] = []
  const root = recordOf(value)
  if (root === undefined) throw invalid(path, ['the file is not a mapping'])
  for (const key of Object.keys(root)) if (!['playbook', 'version', 'stages'].includes(key)) problems.push(`unknown key "${key}"`)
  if (typeof root['playbook'] !== 'string') problems.push('playbook: a name is needed')
  if (root['version'] !== 1) problems.push('version: only 1 is known')
  const stages = Array.isArray(root['stages']) ? root['stages'] : []
  if (stages.length === 0) problems.push('stages: a list with at least one stage is needed')
  const seen = new Set<string>()
  const settledBy = new Map<'packages' | 'the rest', number>()
  const parsed = stages.map((entry: unknown, index): Stage => {
    const at = `stages[${index}]`
    const stage = recordOf(entry) ?? {}
    for (const key of Object.keys(stage)) if (!STAGE_KEYS.includes(key)) problems.push(`${at}: unknown key "${key}"`)
    const tasks = stringsOf(stage['tasks'])
    const gates = stringsOf(stage['gates'] ?? [])
    if (typeof stage['stage'] !== 'string') problems.push(`${at}.stage: a name is needed`)
    if (stage['rollout'] !== 'parallel' && stage['rollout'] !== 'master-last') problems.push(`${at}.rollout: parallel or master-last`)
    if (tasks === undefined) problems.push(`${at}.tasks: a list of resource ids is needed`)
    if (gates === undefined) problems.push(`${at}.gates: a list of gates is needed`)
    for (const task of tasks ?? []) {
      if (seen.has(task)) problems.push(`${at}.tasks: ${task} is listed twice`)
      seen.add(task)
    }
    const isFor = stage['rollout'] === 'parallel' ? 'packages' : 'the rest'
    for (const task of tasks ?? [])
      if (task.startsWith('package/') !== (isFor === 'packages'))
        problems.push(`${at}.tasks: ${task}: packages are installed in parallel, and everything else is settled master-last`)
    if ((tasks ?? []).length > 0 && settledBy.has(isFor))
      problems.push(`${at}.tasks: stages[${settledBy.get(isFor)}] settles ${isFor} already`)
    else if ((tasks ?? []).length > 0) settledBy.set(isFor, index)
    for (const gate of gates ?? []) if (!isGate(gate)) problems.push(`${at}.gates: unknown gate "${gate}" (known: ${GATES.join(', ')})`)
    return {
      stage: String(stage['stage']),
      rollout: stage['rollout'] === 'parallel' ? 'parallel' : 'master-last',
      tasks: tasks ?? [],
      gates: (gates ?? []).filter(isGate),
    }
  })
  if (problems.length > 0) throw invalid(path, problems)
  return { playbook: String(root['playbook']), version: 1, stages: parsed }
}

/**
 * `items` in the order of the playbook's tasks; "file/certificates" settles every "file/certificates/NAME". Throws E_PLAYBOOK_INVALID where no
 * stage settles one.
 */
export function inOrder<T extends { readonly id: string }>(playbook: Playbook, items: readonly T[]): readonly T[] {
  const tasks = new Map(playbook.stages.flatMap(stage => stage.tasks).map((task, at) => [task, at]))
  const placeOf = (id: string) => {
    const place = tasks.get(id) ?? tasks.get(id.slice(0, id.lastIndexOf('/')))
    if (place === undefined) throw invalid(`the playbook ${playbook.playbook}`, [`no stage settles ${id}`])
    return place
  }
  return items
    .map(item => ({ item, place: placeOf(item.id) }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item)
}

function isGate(word: string): word is GateName {
  return (GATES as readonly string[]).includes(word)
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
}

function stringsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every(item => typeof item === 'string') ? value : undefined
}

function invalid(path: string, why: readonly string[]): HactlError {
  return new HactlError({
    code: 'E_PLAYBOOK_INVALID',
    what: `${path} is not a playbook hactl can follow`,
    why,
    fix: 'compare it with the one that hactl ships',
  })
}
