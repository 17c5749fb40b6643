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

/** In the order in which --all runs them, from harmless to grave: playbooks/drills has a file for each. */
export const SHIPPED_DRILLS: readonly string[] = [
  'reload-under-load',
  DEFAULT_DRILL,
  'keepalived-stop',
  'haproxy-kill',
  'haproxy-hang',
  'haproxy-crash-loop',
  'cascade',
  'link-down',
  'keepalived-kill',
  'partition-in',
  'partition-out',
  'partition',
  'keepalived-hang',
  'reboot',
  'server-dead',
]

export interface DrillChoice {
  /** Names, or paths of the operator's own files; empty: the default one. */
  readonly drills: readonly string[]
  /** Every shipped drill that kills or reboots no server; those too when `destructive`. */
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
  const names = choice.all ? SHIPPED_DRILLS : choice.drills.length === 0 ? [DEFAULT_DRILL] : choice.drills
  const vocabulary = { disturbances: DISTURBANCES, events }
  const drills = await Promise.all(
    names.map(async name => {
      const path = isPath(name) ? pathFrom(ports.cwd, name, ports.home) : join(packageRoot, 'playbooks', 'drills', `${name}.yml`)
      const isShipped = !isPath(name) && SHIPPED_DRILLS.includes(name)
      const file = isPath(name) || isShipped ? await readInput(path, ports, MAX_TEXT_BYTES) : undefined
      if (file?.kind === 'read') return parseDrill(file.bytes.toString('utf8'), path, vocabulary)
      if (isShipped) throw missingPlaybook(path)
      if (file?.kind === 'unusable')
        throw new HactlError({ code: 'E_USAGE', what: whyUnread(path, file), fix: 'name a file that your user may read' })
      const meant = isPath(name) ? undefined : nearestWord(name, SHIPPED_DRILLS)
      throw new HactlError({
        code: 'E_USAGE',
        what: `there is no drill ${name}`,
        fix: `${meant === undefined ? '' : `did you mean ${meant}? `}one of: ${SHIPPED_DRILLS.join(', ')}; or the path of a file of your own (./my-drill.yml)`,
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
    fix: 'add --destructive where that is meant',
  })
}

function isPath(name: string): boolean {
  return name.includes('/') || name.endsWith('.yml') || name.endsWith('.yaml')
}
