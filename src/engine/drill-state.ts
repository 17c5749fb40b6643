/** How a server stands, in one short look: read before and after a drill and compared. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { DrillState } from '../state/drill.ts'
import { shWith } from '../shell/sh.ts'

/** What to look at besides addresses and hactl's own transient units. */
export interface DrillStateWatch {
  readonly vips: readonly string[]
  /** Unit names without ".service". */
  readonly units: readonly string[]
  /** Absolute paths of files that hold one line each. */
  readonly trackers: readonly string[]
  /** Absolute paths of files that are compared as they are. */
  readonly files: readonly string[]
}

/** Reads it all in one go. Throws E_PROBE_CUT and what Session.run throws. */
export async function observeDrillState(session: Session, watch: DrillStateWatch, signal?: AbortSignal): Promise<DrillState> {
  const result = await session.run(drillStateScript(watch), {
    effect: 'none',
    label: 'read the state of this server',
    deadlineMs: 15_000,
    signal,
  })
  return parseDrillState(result.stdout, session.server, watch.vips)
}

function drillStateScript({ units, trackers, files }: DrillStateWatch): Script {
  const words = { UNITS: units.join(' '), TRACKERS: trackers.join(' '), FILES: files.join(' ') }
  return shWith('drill-state.sh', words)`drill_state`
}

function parseDrillState(text: string, server: string, vips: readonly string[]): DrillState {
  const lines = text.trim().split('\n')
  if (lines.at(-1) !== 'end') {
    throw new HactlError({ code: 'E_PROBE_CUT', server, what: `${server} sent an incomplete answer about its state`, fix: 'run it again' })
  }
  const units: Record<string, string> = {}
  const trackers: Record<string, string> = {}
  const files: Record<string, string> = {}
  const addresses = new Set<string>()
  const residue: string[] = []
  let firewall: string | undefined
  for (const line of lines) {
    const [word, first = '', second = ''] = line.split(' ')
    if (word === 'unit') units[first] = second
    if (word === 'address') addresses.add(second)
    if (word === 'residue') residue.push(first)
    if (word === 'tracker') trackers[first] = second
    if (word === 'file') files[first] = second
    if (word === 'firewall') firewall = first
  }
  return { server, units, holds: vips.filter(vip => addresses.has(vip)), residue, trackers, files, firewall }
}
