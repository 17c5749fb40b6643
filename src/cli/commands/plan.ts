import type { Command } from '../command.ts'
import { runInput } from '../run-input.ts'
import { changeCount, planObjects, planServers, renderPlan } from '../view/plan.ts'

export const plan: Command = async context => {
  const { app, output, ports, flags } = context
  const { plan: made } = await app.plan(await runInput(context), ports, output.event)
  await output.settle()
  if (output.json) for (const change of planObjects(made)) output.object(change)
  else output.text(renderPlan(made, output.style, output.verbose))
  const changes = changeCount(made)
  return {
    exit: changes > 0 && flags.on('exitCode') ? 2 : 0,
    result: { servers: planServers(made), changes, outage_ms: made.outageMs, warnings: made.warnings },
  }
}
