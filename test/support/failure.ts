/** How a run failed, and the exit status that it would end with. */
import { HactlError } from '../../src/errors.ts'
import { type RunState, verdictOn } from '../../src/exit-status.ts'

/** errors: where several servers failed. */
export type Failure = HactlError & { readonly exit: number; readonly errors?: readonly HactlError[] }

/** What a run failed with; throws where it did not fail, or with what is no error of hactl's. */
export async function failureOf<S extends RunState>(state: S, run: (state: S) => Promise<unknown>): Promise<Failure> {
  const thrown = await run(state).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof HactlError)) throw new Error(`expected to fail, got ${String(thrown)}`, { cause: thrown })
  return Object.assign(thrown, { exit: verdictOn(thrown, state).exit })
}
