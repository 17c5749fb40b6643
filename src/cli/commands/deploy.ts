import type { Plan } from '../../state/plan.ts'
import type { Command, CommandContext } from '../command.ts'
import { askingInput, confirmed, waitInput } from '../run-input.ts'
import { renderDeploy } from '../view/deploy.ts'
import { planObjects, renderPlan } from '../view/plan.ts'

export const deploy: Command = async context => {
  const { app, output, ports, flags } = context
  const input = {
    ...(await askingInput(context)),
    wait: waitInput(context),
    adopt: flags.on('adopt'),
    reload: flags.on('reload'),
    forget: flags.list('forget'),
    confirm: (plan: Plan) => showAndAsk(context, plan),
  }
  const report = await app.deploy(input, ports, output.event)
  await output.settle()
  output.text(renderDeploy(report, output.style))
  return { exit: 0, result: { servers: report.servers, holder: report.holder, duration_ms: report.durationMs } }
}

/** Shows the plan, then asks; --yes answers the question. */
export async function showAndAsk(context: CommandContext, plan: Plan, question = 'Apply these changes?'): Promise<boolean> {
  const { output } = context
  await output.settle()
  if (output.json) for (const change of planObjects(plan)) output.object(change)
  else output.text(renderPlan(plan, output.style, output.verbose))
  return confirmed(context, question)
}
