/** The time in which a question to the operator is open does not count as time that a server takes. */
import type { AskPassphrase, Clock } from '../../ports.ts'

export interface QuestionTimer {
  /** ms for which a question has been open so far, in all. */
  askedMs(): number
  /** The same question, timed; undefined where there is no operator to ask. */
  timed(ask: AskPassphrase | undefined): AskPassphrase | undefined
}

/** Questions that are open at the same time count once. */
export function createQuestionTimer(clock: Pick<Clock, 'monotonic'>): QuestionTimer {
  let doneMs = 0
  let open = 0
  let since = 0
  return {
    askedMs: () => doneMs + (open === 0 ? 0 : clock.monotonic() - since),
    timed: ask => {
      if (ask === undefined) return undefined
      return async (path, isAgain) => {
        if (open++ === 0) since = clock.monotonic()
        try {
          return await ask(path, isAgain)
        } finally {
          if (--open === 0) doneMs += clock.monotonic() - since
        }
      }
    },
  }
}
