import { inspect } from 'node:util'

/** How a secret appears wherever it would be printed. */
export const MASK = '***'

/** A value that prints as *** in every view: string conversion, JSON and util.inspect all give the mask. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself. Only what writes a file or answers a password prompt may call this. */
  reveal(): string {
    return this.#value
  }

  /** A text that may contain the value, such as another program's log, with the value masked. */
  hiddenIn(text: string): string {
    return this.#value === '' ? text : text.replaceAll(this.#value, MASK)
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}
