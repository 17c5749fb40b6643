import type { Command } from '../command.ts'
import { runInput } from '../run-input.ts'
import { renderHistory } from '../view/history.ts'

export const history: Command = async context => {
  const { app, output, ports } = context
  const { entries } = await app.history(await runInput(context), ports)
  output.text(renderHistory(entries, output.verbose))
  return { exit: 0, result: { entries } }
}
