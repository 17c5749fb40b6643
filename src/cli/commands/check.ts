import { relative, resolve } from 'node:path'
import { statusOfFindings } from '../../exit-status.ts'
import type { Command, CommandContext, Outcome } from '../command.ts'
import { usageError } from '../flags.ts'
import { inventoryPath, runInput } from '../run-input.ts'
import { renderCheck } from '../view/check.ts'
import { renderIssues } from '../view/issues.ts'
import { snakeKeys } from '../view/ndjson.ts'
import { renderPreflight } from '../view/preflight.ts'
import { count } from '../../words.ts'

export const check: Command = async context => {
  const { argument, flags, ports } = context
  const conf = flags.text('conf')
  if (conf === undefined) return checkInventory(context)
  if (conf === '') throw usageError('the name for --conf is empty', 'name a keepalived.conf; a shell variable may be unset')
  const [beside] = [
    ...(argument === undefined ? [] : [`the inventory ${JSON.stringify(argument)}`]),
    ...(flags.text('inventory') === undefined ? [] : ['-i']),
    ...(flags.on('servers') ? ['--servers'] : []),
    ...(flags.list('limit').length === 0 ? [] : ['--limit']),
  ]
  if (beside !== undefined) throw usageError(`--conf checks one file alone: ${beside} does not apply`, `leave out --conf or ${beside}`)
  return checkConf(context, resolve(ports.cwd, conf))
}

async function checkInventory(context: CommandContext): Promise<Outcome> {
  const { app, flags, output, ports } = context
  const path = inventoryPath(context)
  const shown = relative(ports.cwd, path)
  const report = await app.check({ inventoryPath: path, limit: flags.list('limit') }, ports)
  const { errors, warnings, cluster, profile, servers, table, outages } = report
  if (output.quiet) printIssues(context, shown, errors, warnings)
  else output.text(renderCheck(report, shown, output.style, output.columns))
  output.text(`${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}`)
  const result = {
    cluster,
    profile,
    servers,
    errors,
    warnings,
    table,
    outages: outages.map(snakeKeys),
  }
  if (errors.length > 0) return refused(errors.length, result)
  if (!flags.on('servers')) return { exit: 0, result }
  const checks = await app.checkServers(await runInput(context), ports, output.event)
  await output.settle()
  output.text(renderPreflight(checks, output.style, output.columns))
  return { exit: 0, result: { ...result, checks } }
}

async function checkConf(context: CommandContext, path: string): Promise<Outcome> {
  const { errors, warnings } = await context.app.checkConf(path, context.ports)
  printIssues(context, path, errors, warnings)
  context.output.text(`${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}`)
  const result = { conf: path, errors, warnings }
  return errors.length > 0 ? refused(errors.length, result) : { exit: 0, result }
}

function printIssues({ output }: CommandContext, file: string, errors: Parameters<typeof renderIssues>[1], warnings: typeof errors): void {
  const lines = [...renderIssues('error', errors, file, output.style), ...renderIssues('warning', warnings, file, output.style)]
  if (lines.length > 0) output.important(lines.join('\n'))
}

function refused(errors: number, result: Outcome['result']): Outcome {
  const code = 'E_INVENTORY_INVALID'
  return {
    exit: statusOfFindings([code]),
    result: { code, what: `${count(errors, 'error')} found`, fix: 'fix what `errors` lists', ...result },
  }
}
