import { resolve } from 'node:path'
import type { DrillAnnouncement, VerifyInput } from '../../app/verify-failover.ts'
import type { Command, CommandContext } from '../command.ts'
import { usageError } from '../flags.ts'
import { assertCanAsk, confirmed, runInput } from '../run-input.ts'
import { renderReport } from '../view/report.ts'
import { renderAnnouncement, renderVerify, verifyObject } from '../view/verify.ts'

export const verifyFailover: Command = async context => {
  const { app, flags, output, ports } = context
  const drills = flags.list('drill')
  if (flags.on('all') && drills.length > 0) throw usageError('--all and --drill exclude each other', 'give one of them')
  assertCanAsk(context)
  const report = await app.verifyFailover({ ...(await verifyInput(context)), drills }, ports, output.event)
  await output.settle()
  // --quiet speaks of problems only, and a failed drill is one.
  if (report.exit === 0) output.text(renderVerify(report, output.style))
  else output.important(renderVerify(report, output.style))
  const file = flags.text('report')
  if (file !== undefined) {
    const path = resolve(ports.cwd, file)
    await ports.files.write(path, renderReport(report, path), 0o644)
    output.text(`report written to ${file}`)
  }
  return { exit: report.exit, result: verifyObject(report) }
}

async function verifyInput(context: CommandContext): Promise<Omit<VerifyInput, 'drills'>> {
  const { flags } = context
  const [maxOutageMs, probe, from] = [flags.number('maxOutage'), flags.text('probe'), flags.text('from')]
  return {
    ...(await runInput(context)),
    all: flags.on('all'),
    destructive: flags.on('destructive'),
    ...(maxOutageMs === undefined ? {} : { maxOutageMs }),
    ...(probe === undefined ? {} : { probe }),
    ...(from === undefined ? {} : { from }),
    confirm: what => announceAndAsk(context, what),
  }
}

async function announceAndAsk(context: CommandContext, what: DrillAnnouncement): Promise<boolean> {
  const { output } = context
  await output.settle()
  output.text(renderAnnouncement(what, output.style))
  const addresses = what.vips.map(vip => vip.address).join(', ')
  return confirmed(context, `Cause the failure on ${addresses} now?`)
}
