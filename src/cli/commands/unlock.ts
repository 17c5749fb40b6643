import { statusOfFindings } from '../../exit-status.ts'
import type { UnlockReport } from '../../app/unlock.ts'
import type { Command } from '../command.ts'
import { runInput } from '../run-input.ts'
import { printable } from '../view/style.ts'

export const unlock: Command = async context => {
  const { app, flags, output, ports } = context
  const report = await app.unlock({ ...(await runInput(context)), force: flags.on('force') }, ports)
  output.text(report.servers.map(describe).join('\n'))
  const held = report.servers.filter(server => server.lock !== undefined && !server.released)
  const servers = report.servers.map(({ name, lock, released }) => ({
    name,
    released,
    lock: lock === undefined ? null : { owner: lock.owner, reason: lock.reason, age_seconds: lock.ageSeconds },
  }))
  if (held.length === 0) return { exit: 0, result: { servers } }
  output.problem('a lock belongs to a run that is still alive: wait for it, or give --force')
  const code = 'E_LOCKED'
  return { exit: statusOfFindings([code]), result: { code, servers } }
}

function describe({ name, lock, released }: UnlockReport['servers'][number]): string {
  if (lock === undefined) return `${name}: not locked`
  const owner = printable(`${lock.owner}, ${lock.reason}, last seen ${lock.ageSeconds} s ago`)
  return released ? `${name}: lock of ${owner}: released` : `${name}: locked by ${owner}`
}
