import inquirer from 'inquirer'
import { HactlError } from '../../errors.ts'
import type { Prompter } from './prompter.ts'

export interface PrompterStreams {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** Ends a question that is open. */
  readonly signal: AbortSignal
}

/** Asks on a real terminal. */
export function createPrompter({ input, output, signal }: PrompterStreams): Prompter {
  const ask = inquirer.createPromptModule({ input, output, signal })
  return {
    input: ({ message, fallback, problem }) =>
      answered(async () => {
        const validate = (text: string) => problem(text.trim()) ?? true
        const question = {
          type: 'input',
          name: 'answer',
          message,
          validate,
          ...(fallback === undefined ? {} : { default: fallback }),
        } as const
        const { answer } = await ask([question])
        return answer.trim()
      }),
    confirm: ({ message, fallback }) =>
      answered(async () => (await ask([{ type: 'confirm', name: 'answer', message, default: fallback }])).answer),
    select: ({ message, choices, fallback }) =>
      answered(async () => {
        const offered = choices.map(({ value, label, about }) => ({
          value,
          name: label,
          ...(about === undefined ? {} : { description: about }),
        }))
        const { answer } = await ask([{ type: 'select', name: 'answer', message, choices: offered, default: fallback }])
        return answer
      }),
    // toggleMask: a key that shows what was typed has no place where somebody may look over a shoulder.
    password: ({ message }) =>
      answered(async () => (await ask([{ type: 'password', name: 'answer', message, mask: '*', toggleMask: false }])).answer),
  }
}

/** inquirer reads Ctrl+C itself while a question is open: no signal comes, but this error. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Error && (error.name === 'ExitPromptError' || error.name === 'AbortPromptError')) {
      throw new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted at a question; nothing was changed', cause: error })
    }
    throw error
  }
}
