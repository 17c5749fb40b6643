import type { Command } from '../command.ts'
import { renderCompletion, SHELLS } from '../completion.ts'
import { oneOf } from '../flags.ts'

export const completion: Command = async ({ argument = '', output, table }) => {
  const shell = oneOf(SHELLS)(argument, 'completion')
  output.important(renderCompletion(shell, table))
  return { exit: 0, result: { shell } }
}
