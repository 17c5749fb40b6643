import type { Plan } from '../../state/plan.ts'
import type { Command } from '../command.ts'
import { askingInput, waitInput } from '../run-input.ts'
import { movedObject } from '../view/drain.ts'
import { renderUpgrade } from '../view/upgrade.ts'
import { showAndAsk } from './deploy.ts'

export const upgrade: Command = async context => {
  const { app, output, ports } = context
  const input = {
    ...(await askingInput(context)),
    wait: waitInput(context),
    confirm: (plan: Plan) => showAndAsk(context, plan, 'Upgrade the servers, one at a time?'),
  }
  const report = await app.upgrade(input, ports, output.event)
  await output.settle()
  output.text(renderUpgrade(report, output.style))
  const moves = report.moves.map(move => ({ server: move.server, ...movedObject(move) }))
  return { exit: 0, result: { servers: report.servers, holder: report.holder, moves, duration_ms: report.durationMs } }
}
