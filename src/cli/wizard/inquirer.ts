import inquirer from 'inquirer'
import { HactlError } from '../../errors.ts'
import type { Prompter } from './prompter.ts'

export interface PrompterStreams {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** Ends the open question. */
  readonly signal: AbortSignal
}

/** Asks on a real terminal. */
export function createPrompter({ input, output, signal }: PrompterStreams): Prompter {
  const answered = <T>(question: (ask: Ask) => Promise<T>) =>
    untilClosed(input, closed => question(inquirer.createPromptModule({ input, output, signal: AbortSignal.any([signal, closed]) })))
  return {
    input: ({ message, fallback, problem }) =>
      answered(async ask => {
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
      answered(async ask => (await ask([{ type: 'confirm', name: 'answer', message, default: fallback }])).answer),
    select: ({ message, choices, fallback }) =>
      answered(async ask => {
        const offered = choices.map(({ value, label, about }) => ({
          value,
          name: label,
          ...(about === undefined ? {} : { description: about }),
        }))
        const { answer } = await ask([{ type: 'select', name: 'answer', message, choices: offered, default: fallback }])
        return answer
      }),
    // toggleMask: no key may show what was typed, because somebody may look over the operator's shoulder.
    password: ({ message }) =>
      answered(async ask => (await ask([{ type: 'password', name: 'answer', message, mask: '*', toggleMask: false }])).answer),
  }
}

type Ask = ReturnType<typeof inquirer.createPromptModule>

/**
 * inquirer reads Ctrl+C itself while a question is open, and throws this error instead of a signal. At Ctrl+D it stops reading and never
 * answers: the only sign is that the input is paused.
 */
async function untilClosed<T>(input: NodeJS.ReadableStream, ask: (closed: AbortSignal) => Promise<T>): Promise<T> {
  const closed = new AbortController()
  // An answer pauses the input as well, but it arrives before the next turn of the event loop.
  const onPause = () => void setImmediate(() => closed.abort())
  input.on('pause', onPause)
  try {
    return await ask(closed.signal)
  } catch (error) {
    if (error instanceof Error && (error.name === 'ExitPromptError' || error.name === 'AbortPromptError')) {
      throw new HactlError({ code: 'E_INTERRUPTED', what: 'interrupted at a question; nothing was changed', cause: error })
    }
    throw error
  } finally {
    input.removeListener('pause', onPause)
  }
}
