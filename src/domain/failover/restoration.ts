/** Whether everything is as it was before the drill. */
import type { Sample } from '../../state/drill.ts'
import { probesOf } from './timeline.ts'
import type { DrillCase, DrillRecord, Finding } from './verdict.ts'

/** What is not as it was before, service by service. Where the address is, is judged elsewhere. */
export function restorationFindings(about: DrillCase, record: DrillRecord, holders: readonly string[]): readonly Finding[] {
  const texts: string[] = []
  for (const before of record.before) {
    const after = record.after.find(state => state.server === before.server)
    if (after === undefined) {
      texts.push(`${before.server} could not be reached after the drill: bring it back, then run hactl status --limit ${before.server}`)
      continue
    }
    for (const [unit, state] of Object.entries(before.units)) {
      const now = after.units[unit] ?? 'unknown'
      if (now === state) continue
      const remedy = state === 'active' ? `: systemctl start ${unit}` : ''
      texts.push(`${before.server}: ${unit} was ${state} and is ${now}${remedy}`)
    }
    for (const [path, value] of Object.entries(before.trackers ?? {})) {
      const now = after.trackers?.[path]
      if (now !== value)
        texts.push(`${before.server}: ${path} was ${value ?? 'missing'} and is ${now ?? 'missing'}: systemctl restart haproxy`)
    }
    const changed = Object.entries(before.files ?? {}).filter(([path, sum]) => after.files?.[path] !== sum)
    for (const [path] of changed)
      texts.push(`${before.server}: ${path} is not what it was before the drill: hactl plan shows the difference`)
    if (after.residue.length > 0) texts.push(`${before.server}: left over from the drill: systemctl stop ${after.residue.join(' ')}`)
  }
  for (const server of about.boots === true ? [] : firewallChanges(record)) {
    texts.push(`${server}: the packet filter is not what it was before the drill: nft list ruleset (or iptables-save) shows it`)
  }
  if (holders.length === 0) texts.push(`nobody holds ${about.vip} after the drill: hactl status shows which server is not healthy`)
  if (holders.length > 1)
    texts.push(
      `${holders.join(' and ')} hold ${about.vip} after the drill: systemctl restart keepalived on ${holders.filter(holder => holder !== about.from).join(' and ')}`,
    )
  if (!answersInTheEnd(record.samples))
    texts.push(`${about.vip} does not answer after the drill: hactl status shows which server is not healthy`)
  return texts.map(text => ({ code: 'E_UNDO_FAILED', text }))
}

function answersInTheEnd(samples: readonly Sample[]): boolean {
  return probesOf(samples).at(-1)?.ok === true
}

/** The servers whose packet filter has other rules than before. */
export function firewallChanges({ before, after }: DrillRecord): readonly string[] {
  return before.flatMap(({ server, firewall }) => {
    const now = after.find(state => state.server === server)
    return now === undefined || now.firewall === firewall ? [] : [server]
  })
}
