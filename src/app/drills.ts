/** The drills that hactl ships, and those of the operator's own. */
import { join } from 'node:path'
import { DISTURBANCES } from '../domain/failover/disturbances.ts'
import { nearestWord } from '../inventory/suggest.ts'
import { parseDrill } from '../engine/drill-file.ts'
import { HactlError } from '../errors.ts'
import type { Ports } from '../ports.ts'
import type { DrillFile } from '../state/drill.ts'
import { MAX_TEXT_BYTES, readInput, whyUnread } from './input-file.ts'
import { pathFrom } from './load.ts'
import { missingPlaybook } from './playbooks.ts'

const DEFAULT_DRILL = 'haproxy-stop'

export interface ShippedDrill {
  readonly name: string
  readonly file: string
}

/**
 * The drills among the files of playbooks/drills, in the order in which --all runs them, from harmless to grave. The number before a file's
 * name is its place in that order.
 */
export function shippedDrills(files: readonly string[]): readonly ShippedDrill[] {
  return files.toSorted().flatMap(file => {
    const name = /^\d\d-([a-z0-9-]+)\.yml$/.exec(file)?.[1]
    return name === undefined ? [] : [{ name, file }]
  })
}

export interface DrillChoice {
  /** Names, or paths of the operator's own files; empty for the default drill. */
  readonly drills: readonly string[]
  /** Every shipped drill that kills or reboots no server; with `destructive` those that do as well. */
  readonly all: boolean
  readonly destructive: boolean
}

/** The drills to run, in order. Throws E_USAGE for an unknown name, E_PLAYBOOK_INVALID for a file that declares none. */
export async function loadDrills(
  choice: DrillChoice,
  events: readonly string[],
  packageRoot: string,
  ports: Pick<Ports, 'files' | 'signal' | 'cwd' | 'home'>,
): Promise<readonly DrillFile[]> {
  const folder = join(packageRoot, 'playbooks', 'drills')
  const shipped = shippedDrills((await ports.files.list(folder)) ?? [])
  const known = shipped.map(({ name }) => name)
  const names = choice.all ? known : choice.drills.length === 0 ? [DEFAULT_DRILL] : choice.drills
  if (shipped.length === 0 && !names.some(isPath)) throw missingPlaybook(folder)
  const vocabulary = { disturbances: DISTURBANCES, events }
  const drills = await Promise.all(
    names.map(async name => {
      const own = isPath(name) ? undefined : shipped.find(drill => drill.name === name)
      const path = isPath(name) ? pathFrom(ports.cwd, name, ports.home) : own === undefined ? undefined : join(folder, own.file)
      const file = path === undefined ? undefined : await readInput(path, ports, MAX_TEXT_BYTES)
      if (path !== undefined && file?.kind === 'read') return parseDrill(file.bytes.toString('utf8'), path, vocabulary)
      if (path !== undefined && own !== undefined) throw missingPlaybook(path)
      if (path !== undefined && file?.kind === 'unusable')
        throw new HactlError({ code: 'E_USAGE', what: whyUnread(path, file), fix: 'name a file that your user may read' })
      const meant = isPath(name) ? undefined : nearestWord(name, known)
      throw new HactlError({
        code: 'E_USAGE',
        what: `there is no drill ${name}`,
        fix: `${meant === undefined ? '' : `did you mean ${meant}? `}one of: ${known.join(', ')}; or the path of a file of your own (./my-drill.yml)`,
      })
    }),
  )
  if (choice.destructive) return drills
  if (choice.all) return drills.filter(drill => !drill.destructive)
  const refused = drills.find(drill => drill.destructive)
  if (refused === undefined) return drills
  throw new HactlError({
    code: 'E_USAGE',
    what: `${refused.name} kills or reboots a server: ${refused.title}`,
    why: ['no server was contacted'],
    fix: 'add --destructive if that is intended',
  })
}

function isPath(name: string): boolean {
  return name.includes('/') || name.endsWith('.yml') || name.endsWith('.yaml')
}
