import { HactlError } from '../../src/errors.ts'

/** The error that the promise rejects with. Throws where it rejects with none of ours, or not at all. */
export async function failureOf(promise: Promise<unknown>): Promise<HactlError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof HactlError)) throw new TypeError(`expected a HactlError, got ${String(thrown)}`)
  return thrown
}
