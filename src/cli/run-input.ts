import { resolve } from 'node:path'
import { HactlError } from '../errors.ts'
import { TIMEOUT_MS } from '../patience.ts'
import type { AskPassphrase } from '../ports.ts'
import { Secret } from '../secret.ts'
import type { RunInput } from './app-contract.ts'
import type { CommandContext } from './command.ts'
import { usageError } from './flags.ts'

/** The absolute path of the inventory: the argument, -i, $HACTL_INVENTORY, ./inventory.yml, in this order. */
export function inventoryPath({ argument, flags, ports }: CommandContext): string {
  const flag = flags.text('inventory')
  if (argument === '' || flag === '') {
    throw usageError('the name of the inventory is empty', 'name a file, or leave the name out; a shell variable may be unset')
  }
  if (argument !== undefined && flag !== undefined && resolve(ports.cwd, argument) !== resolve(ports.cwd, flag)) {
    throw usageError(`two inventories were given: ${argument} and -i ${flag}`, 'give one of them')
  }
  const fromEnv = ports.env['HACTL_INVENTORY']
  const chosen = argument ?? flag ?? (fromEnv === undefined || fromEnv === '' ? 'inventory.yml' : fromEnv)
  return resolve(ports.cwd, chosen)
}

/** The input of every command that connects to servers. Asks for the sudo password where -K was given. */
export async function runInput(context: CommandContext): Promise<RunInput> {
  const { flags } = context
  const input = {
    inventoryPath: inventoryPath(context),
    limit: flags.list('limit'),
    forks: flags.number('forks') ?? 8,
    timeoutMs: flags.number('timeout') ?? TIMEOUT_MS,
    verbose: context.output.verbose,
    ...(context.interactive ? { askPassphrase: passphraseQuestion(context) } : {}),
  }
  if (!flags.on('askBecomePass')) return input
  if (!context.interactive) {
    throw notInteractive(
      'the sudo password',
      'set become_password in the inventory ({ env: NAME }, { file: PATH } or { command: ... }) and leave -K out',
    )
  }
  const prompter = await context.prompter()
  return { ...input, becomePassword: new Secret(await prompter.password({ message: 'sudo password' })) }
}

/** One question at a time, above a drawing that waits for the answer: several servers may need several keys at once. */
function passphraseQuestion({ interrupt, output, prompter }: CommandContext): AskPassphrase {
  let turn: Promise<unknown> = Promise.resolve()
  return (path, isAgain) => {
    const answer = turn.then(() =>
      output.pausedFor(async () => {
        const message = `${isAgain ? 'That was wrong. ' : ''}Passphrase for ${path} (empty: do without this key)`
        const text = await (await prompter()).password({ message })
        return text === '' ? undefined : new Secret(text)
      }),
    )
    // After an interrupt no other question is asked: the run is stopped, and every waiting question gets the same error.
    turn = answer
    answer.catch(() => interrupt())
    return answer
  }
}

/** How long a command that may end open connections waits for them. Throws E_USAGE for --force without --wait. */
export function waitInput({ flags }: CommandContext): { readonly waitMs: number | undefined; readonly force: boolean } {
  const waitMs = flags.number('wait')
  const force = flags.on('force')
  if (force && waitMs === undefined)
    throw usageError('--force says what to do when the time of --wait is over', 'give --wait, or leave --force out')
  return { waitMs, force }
}

/** Without a terminal nothing is asked: the error names the flag to give instead. */
export function notInteractive(what: string, fix: string): HactlError {
  return new HactlError({ code: 'E_NOT_INTERACTIVE', what: `${what} cannot be asked for: stdin or stderr is not a terminal`, fix })
}

/** runInput for a command that will ask. Where nobody can answer, it throws E_NOT_INTERACTIVE before any server is contacted. */
export async function askingInput(
  context: CommandContext,
  message?: string,
): Promise<RunInput & { readonly beforeConnecting: () => void }> {
  return { ...(await runInput(context)), beforeConnecting: () => assertAnswerable(context, message) }
}

function assertAnswerable({ flags, interactive }: CommandContext, message?: string): void {
  if (flags.on('yes') || interactive) return
  throw notInteractive(message === undefined ? 'the confirmation' : `"${message}"`, 'give --yes to answer it beforehand')
}

/** The answer to the yes/no question before a change; --yes answers it. */
export async function confirmed(context: CommandContext, message: string, fallback = false): Promise<boolean> {
  assertAnswerable(context, message)
  if (context.flags.on('yes')) return true
  const prompter = await context.prompter()
  return prompter.confirm({ message, fallback })
}
