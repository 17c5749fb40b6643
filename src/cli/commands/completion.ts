import type { Command } from '../command.ts'
import { renderCompletion } from '../completion.ts'
import { oneOf } from '../flags.ts'
import { SHELLS } from '../program.ts'

export const completion: Command = async ({ argument = '', output }) => {
  const shell = oneOf(SHELLS)(argument, 'completion')
  output.important(renderCompletion(shell))
  return { exit: 0, result: { shell } }
}
