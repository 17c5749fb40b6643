import type { RemoveAnnouncement } from '../../app/remove.ts'
import type { Command, CommandContext } from '../command.ts'
import { askingInput, waitInput } from '../run-input.ts'
import { printable } from '../view/style.ts'

export const remove: Command = async context => {
  const { app, output, ports } = context
  const input = {
    ...(await askingInput(context)),
    wait: waitInput(context),
    confirm: (what: RemoveAnnouncement) => askForName(context, what),
  }
  const { servers } = await app.remove(input, ports, event => output.event(event))
  await output.settle()
  output.text(
    servers
      .map(({ name, removed }) => (removed.length === 0 ? `${name}: no hactl files` : `${name}: ${removed.length} files removed`))
      .join('\n'),
  )
  return { exit: 0, result: { servers } }
}

/** The cluster's name must be typed: a y is typed too quickly for this question. */
async function askForName(context: CommandContext, what: RemoveAnnouncement): Promise<boolean> {
  const { output } = context
  await output.settle()
  output.important(
    [
      'This removes what hactl put on these servers, and the packages that it installed:',
      ...what.servers.map(({ name, files }) => `  ${name}: ${files.length === 0 ? 'no files' : files.join(' ')}`),
      ...(what.addresses.length === 0
        ? []
        : [`no server will hold ${what.addresses.join(', ')} afterwards, unless a restored older configuration does`]),
      ...what.warnings.map(warning => `  ${printable(warning)}`),
    ].join('\n'),
  )
  if (context.flags.on('yes')) return true
  const prompter = await context.prompter()
  const typed = await prompter.input({ message: `type the name of the cluster (${what.cluster}) to continue`, problem: () => undefined })
  return typed === what.cluster
}
