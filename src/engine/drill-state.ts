/** How a server stands, in one short look: read before and after a drill and compared. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { DrillState } from '../state.ts'
import { joinScripts, sh } from './ssh/sh.ts'

/** Reads the units' states, the watched addresses and hactl's own transient units. Throws E_PROBE_CUT and what Session.run throws. */
export async function observeDrillState(
  session: Session,
  vips: readonly string[],
  units: readonly string[],
  signal?: AbortSignal,
): Promise<DrillState> {
  const result = await session.run(drillStateScript(units), { label: 'read how this server stands', deadlineMs: 15_000, signal })
  return parseDrillState(result.stdout, session.server, vips)
}

export function drillStateScript(units: readonly string[]): Script {
  const asked = units.map(unit => sh`echo unit ${unit} $(systemctl show -p ActiveState --value ${unit}.service)`)
  return sh`${joinScripts(asked)}
ip -o addr show | while read -r _ _ family address _; do echo "address $family \${address%/*}"; done
systemctl list-units --all --plain --no-legend 'hactl-undo-*' 'hactl-drill-*' | while read -r unit _; do echo "residue $unit"; done
echo end`
}

export function parseDrillState(text: string, server: string, vips: readonly string[]): DrillState {
  const lines = text.trim().split('\n')
  if (lines.at(-1) !== 'end') {
    throw new HactlError({ code: 'E_PROBE_CUT', server, what: `the answer of ${server} on how it stands was cut off`, fix: 'run it again' })
  }
  const units: Record<string, string> = {}
  const addresses = new Set<string>()
  const residue: string[] = []
  for (const line of lines) {
    const [word, first = '', second = ''] = line.split(' ')
    if (word === 'unit') units[first] = second
    if (word === 'address') addresses.add(second)
    if (word === 'residue') residue.push(first)
  }
  return { server, units, holds: vips.filter(vip => addresses.has(vip)), residue }
}
