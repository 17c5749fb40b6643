/** The interface to the operator at the terminal. Types only. Ctrl+C at a question throws E_INTERRUPTED. */
export interface Prompter {
  input(question: InputQuestion): Promise<string>
  confirm(question: { readonly message: string; readonly fallback: boolean }): Promise<boolean>
  select(question: { readonly message: string; readonly choices: readonly Choice[]; readonly fallback: string }): Promise<string>
  /** What is typed is never shown. */
  password(question: { readonly message: string }): Promise<string>
}

interface InputQuestion {
  readonly message: string
  readonly fallback?: string
  /** What is wrong with the answer; undefined when it is fine. */
  readonly problem: (answer: string) => string | undefined
}

interface Choice {
  readonly value: string
  readonly label: string
  readonly about?: string
}
