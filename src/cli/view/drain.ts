import type { MoveReport } from '../../engine/operations/lower.ts'
import type { MoveAnnouncement, MovedAddress } from '../../engine/operations/move.ts'
import { count, formatMs } from '../../words.ts'
import { printable, type Style } from './style.ts'

/** The addresses that are about to move, the connections on them, and what --force overrules. */
export function renderMoveAnnouncement(what: MoveAnnouncement, style: Style): string {
  const { command, server, vips, warnings } = what
  const isDrain = command === 'drain'
  const idle = isDrain ? `${server} holds no address: nothing moves, and it will take none over` : `nothing moves to ${server}`
  const head = isDrain ? `This hands over what ${server} holds:` : `This gives ${server} its priority back; it takes over:`
  const lines = vips.length === 0 ? [style.bold(idle)] : [style.bold(head)]
  for (const { address, holder, connections, isKept } of vips) {
    const open = connections === undefined ? 'an unknown number of open connections' : count(connections, 'open connection')
    lines.push(
      `  ${address}${isDrain || holder === undefined ? '' : `, now on ${holder}`}, with ${open}: ${isKept ? 'they stay open' : 'a move cuts them'}`,
    )
  }
  for (const warning of warnings) lines.push(style.yellow(`  ${printable(warning)}`))
  return `${lines.join('\n')}\n`
}

/** What moved to which server, and what users noticed. */
export function renderMove(report: MoveReport, style: Style): string {
  const { server, drained, survivesReboot, changed, vips, notes } = report
  const lines: string[] = []
  if (changed) {
    const state = drained ? `drained${survivesReboot ? ', also after a reboot' : ' until its next reboot'}` : 'undrained'
    lines.push(style.bold(`${server} is ${state}`), ...vips.map(vip => `  ${movement(vip)}`))
  }
  lines.push(...notes.map(note => printable(note)))
  if (changed && drained) lines.push(style.dim(`hactl undrain ${server} gives its priority back`))
  return `${lines.join('\n')}\n`
}

/** "192.0.2.200: srv-1 -> srv-2, 0 of 160 probes lost". */
export function movement({ address, from, to, outageMs, failedProbes, probes, errors }: MovedAddress): string {
  const way = to === undefined ? `stays on ${from ?? 'no server'}` : `${from ?? 'nobody'} -> ${to}`
  const met = printable(errors.join(', '))
  const outage = failedProbes === 0 ? '' : `, ${outageMs === undefined ? 'no answer since' : `outage ${formatMs(outageMs)}`} (${met})`
  return `${address}: ${way}, ${failedProbes} of ${count(probes, 'probe')} lost${outage}`
}

/** One address that moved, as --json has it. */
export function movedObject({ address, from, to, outageMs, failedProbes, probes, errors }: MovedAddress): Record<string, unknown> {
  return { address, from: from ?? null, to: to ?? null, outage_ms: outageMs ?? null, failed_probes: failedProbes, probes, errors }
}

/** The report as the last line of --json. */
export function moveObject(report: MoveReport): Record<string, unknown> {
  const { server, drained, survivesReboot, changed, vips, notes, open = null } = report
  return {
    server,
    vips: vips.map(movedObject),
    drained,
    survives_reboot: survivesReboot,
    changed,
    notes,
    open_connections: open,
  }
}
