import type { MoveReport } from '../../engine/operations/lower.ts'
import type { MoveAnnouncement } from '../../engine/operations/move.ts'
import type { Command, CommandContext, Outcome } from '../command.ts'
import { askingInput, confirmed } from '../run-input.ts'
import { moveObject, renderMove, renderMoveAnnouncement } from '../view/drain.ts'

export const drain: Command = async context => {
  const { app, flags, output, ports } = context
  const input = {
    ...(await moveInput(context, 'Drain')),
    persist: flags.on('persist'),
    force: flags.on('force'),
    waitMs: flags.number('wait'),
  }
  return told(context, await app.drain(input, ports, output.event))
}

/** The input of drain and undrain. The command's argument is the server, so that the inventory comes from -i or the defaults. */
export async function moveInput(context: CommandContext, verb: 'Drain' | 'Undrain') {
  const server = context.argument ?? ''
  const question = `${verb} ${server} now?`
  return {
    ...(await askingInput({ ...context, argument: undefined }, question)),
    server,
    confirm: async (what: MoveAnnouncement) => {
      await context.output.settle()
      context.output.text(renderMoveAnnouncement(what, context.output.style))
      return confirmed(context, question)
    },
  }
}

export async function told({ output }: CommandContext, report: MoveReport): Promise<Outcome> {
  await output.settle()
  // A drain that only waited in vain has moved the addresses.
  if (report.failure === undefined || report.drained) output.text(renderMove(report, output.style))
  const outcome = { exit: 0, result: moveObject(report) }
  return report.failure === undefined ? outcome : { ...outcome, thrown: report.failure }
}
