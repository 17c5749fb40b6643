/** How a server is, in one short look: read before and after a drill and compared. */
import { HactlError } from '../errors.ts'
import type { Clock, Script, Session } from '../ports.ts'
import { shWith } from '../shell/sh.ts'
import type { DrillState } from '../state/drill.ts'
import { isLoss, type Links } from './links.ts'
import type { Watch } from './sampler.ts'

/** A service's hooks may need a moment for what they put back; what differs for longer stays different. */
const SAME_AGAIN_MS = 8000
const SAME_AGAIN_EVERY_MS = 1000

/** What to look at besides addresses and hactl's own transient units. */
export interface DrillStateWatch extends Omit<Watch, 'boundMs'> {
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

/** What looking at all servers of a drill takes. */
interface Observing {
  readonly links: Links
  readonly look: DrillStateWatch
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** How all servers are before a drill. Throws what observeDrillState throws. */
export function observeStateBefore({ links, look, signal }: Observing): Promise<readonly DrillState[]> {
  return Promise.all(links.servers.map(server => observeDrillState(links.current(server), look, signal)))
}

/**
 * How the servers are after a drill, once they are as they were before or some seconds have passed. Servers that could not be asked are
 * missing. An interrupt ends the waiting, not the looking.
 */
export async function observeStateAfter(run: Observing, before: readonly DrillState[]): Promise<readonly DrillState[]> {
  const endMs = run.clock.monotonic() + SAME_AGAIN_MS * run.links.patience
  for (;;) {
    const after = await observeAll(run)
    if (areSame(before, after) || run.signal.aborted || run.clock.monotonic() >= endMs) return after
    await run.clock.sleep(SAME_AGAIN_EVERY_MS, run.signal).catch(() => undefined)
  }
}

/** Which server holds the address does not count here. */
function areSame(before: readonly DrillState[], after: readonly DrillState[]): boolean {
  const text = (states: readonly DrillState[]) => JSON.stringify(states.map(state => ({ ...state, holds: [] })))
  return text(before) === text(after)
}

async function observeAll({ links, look }: Observing): Promise<readonly DrillState[]> {
  const states = await Promise.all(
    links.servers.map(async server => {
      const session = links.current(server)
      try {
        return await observeDrillState(session, look).catch(async (error: unknown) => {
          if (!isLoss(error)) throw error
          return observeDrillState(await links.renew(session), look)
        })
      } catch {
        return undefined
      }
    }),
  )
  return states.filter(state => state !== undefined)
}
