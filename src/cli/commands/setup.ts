import type { Command } from '../command.ts'

export const setup: Command = async () => ({ exit: 0, result: {} })
