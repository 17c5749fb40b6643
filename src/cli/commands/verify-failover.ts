import { relative, resolve } from 'node:path'
import type { WrittenReport } from '../../app/failover-files.ts'
import type { VerifyInput } from '../../app/verify-failover.ts'
import type { DrillAnnouncement } from '../../engine/operations/errand.ts'
import { HactlError, HactlErrors } from '../../errors.ts'
import type { Command, CommandContext } from '../command.ts'
import { usageError } from '../flags.ts'
import { confirmed, askingInput } from '../run-input.ts'
import { renderError } from '../view/error.ts'
import { renderAnnouncement, renderVerify, verifyObject } from '../view/verify.ts'

export const verifyFailover: Command = async context => {
  const { app, flags, output, ports } = context
  const drills = flags.list('drill')
  if (flags.on('all') && drills.length > 0) throw usageError('--all and --drill exclude each other', 'give one of them')
  if (flags.on('destructive') && !flags.on('all') && drills.length === 0)
    output.event({ kind: 'warning', text: '--destructive has no effect without --all or --drill: only haproxy-stop is run' })
  const report = await app.verifyFailover({ ...(await verifyInput(context)), drills }, ports, output.event)
  await output.settle()
  // --quiet shows problems only, and a failed drill is one.
  if (report.exit === 0) output.text(renderVerify(report, output.style))
  else output.important(renderVerify(report, output.style))
  const lost = tellOfReports(report.reports ?? [], context)
  const outcome = { exit: report.exit, result: verifyObject(report) }
  if (lost.length === 0) return outcome
  const thrown = new HactlErrors(lost)
  if (report.exit === 0) return { ...outcome, thrown }
  // A drill that failed or was refused says more about the servers than a missing file does: it decides.
  output.problem(renderError(thrown, { columns: output.errorColumns, verbose: false, style: output.errorStyle }))
  return outcome
}

/** Prints which reports were written, and the text of those that could not be. Returns an error for each of the latter. */
function tellOfReports(reports: readonly WrittenReport[], { output, ports }: CommandContext): readonly HactlError[] {
  return reports.flatMap(({ path, problem, text }) => {
    const file = relative(ports.cwd, path)
    if (problem === undefined) {
      output.text(`report written to ${file.startsWith('..') ? path : file}`)
      return []
    }
    output.problem(text)
    return new HactlError({
      code: 'E_OUTPUT',
      what: `the report could not be written to ${path}; its text is above`,
      why: [problem],
      fix: 'save that text; the drills need not be run again',
    })
  })
}

async function verifyInput(context: CommandContext): Promise<Omit<VerifyInput, 'drills'>> {
  const { flags, ports, version } = context
  const reports = flags.list('report').map(file => resolve(ports.cwd, file))
  const [maxOutageMs, probe] = [flags.number('maxOutage'), flags.text('probe')]
  return {
    ...(await askingInput(context)),
    all: flags.on('all'),
    destructive: flags.on('destructive'),
    ...(maxOutageMs === undefined ? {} : { maxOutageMs }),
    ...(probe === undefined ? {} : { probe }),
    from: flags.list('from'),
    ...(reports.length === 0 ? {} : { reports: { paths: reports, version } }),
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
