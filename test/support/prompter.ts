/** A Prompter that answers from a script: a question that is not the next one of the script fails the test. */
import type { Prompter } from '../../src/cli/wizard/prompter.ts'

/** The exact question and its answer; several answers: the earlier ones must be refused, with `problem` if given. */
export interface Expected {
  readonly question: string
  readonly answer: string | boolean
  readonly refused?: readonly { readonly answer: string; readonly problem: string }[]
}

export interface ScriptedPrompter extends Prompter {
  /** Questions of the script that were never asked. */
  readonly unasked: () => readonly string[]
}

export function scriptedPrompter(script: readonly Expected[]): ScriptedPrompter {
  let at = 0
  const next = (message: string): Expected => {
    const expected = script[at]
    at += 1
    if (expected?.question !== message) {
      throw new Error(`unexpected question ${JSON.stringify(message)}; the next one should be ${JSON.stringify(expected?.question)}`)
    }
    return expected
  }
  const text = ({ answer, question }: Expected): string => {
    if (typeof answer !== 'string') throw new Error(`${question} wants text`)
    return answer
  }
  return {
    input: async ({ message, problem }) => {
      const expected = next(message)
      for (const refusal of expected.refused ?? []) {
        const found = problem(refusal.answer)
        if (found !== refusal.problem)
          throw new Error(
            `${JSON.stringify(refusal.answer)} should be refused with ${JSON.stringify(refusal.problem)}, not ${JSON.stringify(found)}`,
          )
      }
      const found = problem(text(expected))
      if (found !== undefined) throw new Error(`${JSON.stringify(expected.answer)} was refused: ${found}`)
      return text(expected)
    },
    confirm: async ({ message }) => {
      const { answer } = next(message)
      if (typeof answer !== 'boolean') throw new Error(`${message} wants yes or no`)
      return answer
    },
    select: async ({ message, choices }) => {
      const expected = next(message)
      const chosen = choices.find(choice => choice.label === expected.answer)
      if (chosen === undefined)
        throw new Error(`${JSON.stringify(expected.answer)} is not offered: ${choices.map(choice => choice.label).join(' | ')}`)
      return chosen.value
    },
    password: async ({ message }) => text(next(message)),
    unasked: () => script.slice(at).map(expected => expected.question),
  }
}
