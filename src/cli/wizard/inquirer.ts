import type { Readable, Writable } from 'node:stream'
import inquirer from 'inquirer'
import { HactlError } from '../../errors.ts'
import type { Prompter } from './prompter.ts'

export interface PrompterStreams {
  readonly input: NodeJS.ReadStream | Readable
  readonly output: NodeJS.WriteStream | Writable
  readonly signal: AbortSignal
}

/** Asks on a real terminal. */
export function createPrompter(_: PrompterStreams): Prompter {
  throw new HactlError({ code: 'E_INTERNAL', what: String(inquirer) })
}
