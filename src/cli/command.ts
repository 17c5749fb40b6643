/** A command of hactl: its entry in the table, what it gets when it runs, and what it returns. Types only. */
import type { Ports } from '../ports.ts'
import type { AppFunctions } from './app-contract.ts'
import type { Flags } from './flags.ts'
import type { Output } from './output.ts'
import type { Prompter } from './wizard/prompter.ts'

/** What completion offers for a value. */
export type Completes = 'file' | 'server' | readonly string[]

export interface FlagSpec {
  /** commander's spelling: "-y, --yes", "--drill <NAME>". */
  readonly flags: string
  readonly about: string
  /** The flag may be given several times; every value is kept. */
  readonly repeat?: boolean
  /** Checks (and turns into a value) what was typed; throws E_USAGE. */
  readonly parse?: (value: string, flag: string) => unknown
  readonly fallback?: string
  readonly completes?: Completes
}

export interface CommandSpec {
  readonly name: string
  readonly summary: string
  /** A name that ends in "..." takes several. */
  readonly argument?: { readonly name: string; readonly required: boolean; readonly about: string; readonly completes: Completes }
  readonly flags: readonly FlagSpec[]
  readonly examples: readonly string[]
  /** The command's code, loaded only when the command runs: `hactl --help` stays fast. */
  readonly load: () => Promise<Command>
}

/** Every command, and the flags that all of them take. */
export interface CommandTable {
  readonly commands: readonly CommandSpec[]
  readonly globalFlags: readonly FlagSpec[]
}

export interface CommandContext {
  readonly ports: Ports
  readonly app: AppFunctions
  readonly flags: Flags
  readonly argument: string | undefined
  /** All of them, for a command that takes several. */
  readonly operands: readonly string[]
  readonly output: Output
  /** The table that this command is in. */
  readonly table: CommandTable
  /** True where there is someone to ask. Otherwise a command throws E_NOT_INTERACTIVE instead of asking. */
  readonly interactive: boolean
  readonly prompter: () => Promise<Prompter>
  /** Stops the run as Ctrl+C does. */
  readonly interrupt: () => void
  /** hactl's own. */
  readonly version: string
  /** Where hactl's own files (playbooks, schema) are. */
  readonly packageRoot: string
}

export interface Outcome {
  readonly exit: number
  /** What the last line of --json says besides event, command and exit; keys as they are printed. */
  readonly result: Readonly<Record<string, unknown>>
  /** The error that stopped the command part way. `result` then says how far it came, and the exit status is that of the error. */
  readonly thrown?: unknown
}

export type Command = (context: CommandContext) => Promise<Outcome>
