/**
 * How a script on a server reports what it does while it does it: lines that start with "@@".
 * "@@step ID TITLE" starts a step, "@@done ID" ends it with success, "@@fail ID CODE" ends the script, "@@note TEXT" is shown to the operator
 * at once. Any other line is detail of the last step.
 */
export type StepLine =
  | { readonly kind: 'step'; readonly id: string; readonly title: string }
  | { readonly kind: 'done'; readonly id: string }
  | { readonly kind: 'fail'; readonly id: string; readonly reason: string }
  | { readonly kind: 'note'; readonly text: string }
  | { readonly kind: 'detail'; readonly text: string }

/** Exit statuses by which a script says what stopped it, apart from a failed step (1). */
export const LOCK_LOST_STATUS = 97
/** The server is shutting down, so the failure says nothing about the step. */
export const STOPPING_STATUS = 99

export function parseStepLine(line: string): StepLine {
  if (line.startsWith('@@note ')) return { kind: 'note', text: line.slice('@@note '.length) }
  const match = /^@@(step|done|fail) (\S+)(?: (.*))?$/.exec(line)
  if (match === null) return { kind: 'detail', text: line }
  const [, word, id = '', rest = ''] = match
  if (word === 'step') return { kind: 'step', id, title: rest }
  if (word === 'done') return { kind: 'done', id }
  return { kind: 'fail', id, reason: rest }
}

/** The variables of every file of src/on-server that reports steps. */
export const STEP_STATUSES = { STOPPING_STATUS }
