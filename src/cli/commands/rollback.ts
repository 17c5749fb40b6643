import type { Plan } from '../../state/plan.ts'
import type { Command } from '../command.ts'
import { askingInput, waitInput } from '../run-input.ts'
import { renderDeploy } from '../view/deploy.ts'
import { showAndAsk } from './deploy.ts'

export const rollback: Command = async context => {
  const { app, output, ports } = context
  const input = {
    ...(await askingInput({ ...context, argument: undefined })),
    id: context.argument,
    wait: waitInput(context),
    confirm: (plan: Plan) => showAndAsk(context, plan, 'Roll back to this?'),
  }
  const report = await app.rollback(input, ports, output.event)
  await output.settle()
  output.text(renderDeploy(report, output.style))
  output.text(`the servers are as they were after ${report.id}; the inventory is unchanged: hactl plan shows the difference`)
  return { exit: 0, result: { id: report.id, servers: report.servers, holder: report.holder, duration_ms: report.durationMs } }
}
