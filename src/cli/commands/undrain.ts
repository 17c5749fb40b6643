import type { Command } from '../command.ts'
import { moveInput, told } from './drain.ts'

export const undrain: Command = async context => {
  const { app, output, ports } = context
  return told(context, await app.undrain(await moveInput(context, 'Undrain'), ports, output.event))
}
