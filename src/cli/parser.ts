import { Argument, Command as CommanderCommand, CommanderError, Option } from 'commander'
import { HactlError } from '../errors.ts'
import { EXIT_STATUSES } from './exit-statuses.ts'
import type { CommandSpec, FlagSpec } from './command.ts'
import { flagsFrom, usageError, type Flags } from './flags.ts'
import { COMMANDS, GLOBAL_FLAGS } from './program.ts'
import { table } from './view/style.ts'

/** What argv asks for. `help`: explanations or the version, printed as they are. `askedFor` is false where no command was given. */
export type Parsed =
  | { readonly kind: 'run'; readonly spec: CommandSpec; readonly operands: readonly string[]; readonly flags: Flags }
  | { readonly kind: 'help'; readonly text: string; readonly askedFor: boolean }

export interface ParseSettings {
  readonly version: string
  readonly columns: number
}

/** Reads argv (without node and script) by the command table; throws E_USAGE. Runs nothing. */
export function parseArgv(argv: readonly string[], settings: ParseSettings): Parsed {
  let parsed: Parsed | undefined
  let shown = ''
  const program = buildProgram(settings, chosen => {
    parsed = chosen
  })
  const outputs = { writeOut: (text: string) => (shown += text), writeErr: (text: string) => (shown += text), outputError: () => {} }
  for (const command of [program, ...program.commands]) command.configureOutput({ ...outputs, getOutHelpWidth: () => settings.columns })
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return { kind: 'help', text: shown, askedFor: true }
    if (error.code === 'commander.help') return { kind: 'help', text: shown, askedFor: false }
    throw asUsageError(error, argv)
  }
  if (parsed === undefined) throw usageError('no command was given', 'hactl --help lists the commands')
  return parsed
}

/** The first word of argv that is a command's name; "hactl" where none is. */
export function commandOf(argv: readonly string[]): string {
  return argv.find(word => COMMANDS.some(spec => spec.name === word)) ?? 'hactl'
}

function buildProgram(settings: ParseSettings, chosen: (parsed: Parsed) => void): CommanderCommand {
  const program = new CommanderCommand('hactl')
    .description(
      'Turns bare Debian and Ubuntu servers into a highly available HAProxy load balancer over SSH, and proves that it fails over.',
    )
    .usage('COMMAND [options]')
    .version(settings.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'explain hactl or one of its commands')
    .helpCommand('help [COMMAND]', 'explain a command')
    .exitOverride()
    .configureHelp({
      showGlobalOptions: true,
      subcommandTerm: command =>
        [
          command.name(),
          ...command.registeredArguments.map(argument => (argument.required ? argument.name() : `[${argument.name()}]`)),
        ].join(' '),
    })
  for (const flag of GLOBAL_FLAGS) program.addOption(optionFor(flag))
  for (const spec of COMMANDS) {
    const command = program.command(spec.name).summary(spec.summary).description(`${spec.name}: ${spec.summary}`)
    command.helpOption('-h, --help', 'explain this command').copyInheritedSettings(program)
    if (spec.argument !== undefined) {
      const argument = new Argument(spec.argument.required ? `<${spec.argument.name}>` : `[${spec.argument.name}]`, spec.argument.about)
      command.addArgument(argument)
    }
    for (const flag of spec.flags) command.addOption(optionFor(flag))
    command.addHelpText('after', `\nExamples:\n${spec.examples.map(example => `  ${example}`).join('\n')}\n`)
    command.action(() => {
      chosen({ kind: 'run', spec, operands: command.args, flags: flagsFrom(command.optsWithGlobals()) })
    })
  }
  const statuses = table(
    EXIT_STATUSES.map(({ exit, meaning }) => [String(exit), meaning]),
    '  ',
    settings.columns,
  )
  program.addHelpText('after', `\nExit status:\n${statuses.join('\n')}\n`)
  return program
}

function optionFor(flag: FlagSpec): Option {
  const option = new Option(flag.flags, flag.about)
  const { parse, repeat } = flag
  const name = option.long ?? flag.flags
  if (repeat === true) {
    option.argParser<readonly unknown[]>((value, before) => [
      ...(Array.isArray(before) ? before : []),
      parse === undefined ? value : parse(value, name),
    ])
  } else if (parse !== undefined) {
    option.argParser(value => parse(value, name))
  }
  if (flag.fallback !== undefined) option.default(parse === undefined ? flag.fallback : parse(flag.fallback, name), flag.fallback)
  return option
}

/** commander's message ("error: unknown option '--jsn'\n(Did you mean --json?)") as one of ours. */
function asUsageError(error: CommanderError, argv: readonly string[]): HactlError {
  const [what = '', hint] = error.message.replace(/^error: /, '').split('\n')
  const meant = hint === undefined ? undefined : /^\(Did you mean (.+?)\?\)$/.exec(hint)?.[1]
  const command = commandOf(argv)
  const where = command === 'hactl' ? 'hactl --help lists commands and options' : `hactl ${command} --help lists its options`
  return new HactlError({ code: 'E_USAGE', what, fix: meant === undefined ? where : `did you mean ${meant}? ${where}`, cause: error })
}
