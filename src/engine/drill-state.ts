/** How a server stands, in one short look: read before and after a drill and compared. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { DrillState } from '../state/drill.ts'
import { joinScripts, sh } from '../shell/sh.ts'

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
  const result = await session.run(drillStateScript(watch), { label: 'read how this server stands', deadlineMs: 15_000, signal })
  return parseDrillState(result.stdout, session.server, watch.vips)
}

/**
 * Packet filter rules change by themselves only in counters and set elements: nft's -s and -t leave those out. iptables lists a table
 * once anything was ever put into it, so that empty chains with policy ACCEPT count as nothing.
 */
const FIREWALL = sh`if command -v nft >/dev/null; then r=$(nft -s -t list ruleset 2>/dev/null)
elif command -v iptables-save >/dev/null; then r=$( (iptables-save; ip6tables-save) 2>/dev/null | sed -e '/^[#*]/d' -e '/^COMMIT/d' -e '/^:[A-Z]* ACCEPT /d' -e 's/ *[[][0-9]*:[0-9]*[]]//')
else r=none
fi
[ "$r" = none ] || echo "firewall $(printf %s "$r" | sha256sum)"`

export function drillStateScript({ units, trackers, files }: DrillStateWatch): Script {
  const asked = units.map(unit => sh`echo unit ${unit} $(systemctl show -p ActiveState --value ${unit}.service)`)
  const tracked = trackers.map(path => sh`[ -r ${path} ] && read -r t <${path} && echo tracker ${path} "$t"`)
  return sh`${joinScripts(asked)}
ip -o addr show | while read -r _ _ family address _; do echo "address $family \${address%/*}"; done
systemctl list-units --all --plain --no-legend 'hactl-undo-*' 'hactl-drill-*' | while read -r unit _; do echo "residue $unit"; done
${joinScripts(tracked)}
${files.length === 0 ? sh`:` : sh`sha256sum -- ${files} 2>/dev/null | while read -r sum path; do echo "file $path $sum"; done`}
${FIREWALL}
echo end`
}

export function parseDrillState(text: string, server: string, vips: readonly string[]): DrillState {
  const lines = text.trim().split('\n')
  if (lines.at(-1) !== 'end') {
    throw new HactlError({ code: 'E_PROBE_CUT', server, what: `the answer of ${server} on how it stands was cut off`, fix: 'run it again' })
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
