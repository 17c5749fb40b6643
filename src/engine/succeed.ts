import { HactlError } from '../errors.ts'
import type { CommandResult, RunOptions, Script, Session } from '../ports.ts'
import { lockLost } from './lock.ts'

/**
 * Runs a short script of which only the success matters. Throws E_LOCKED where lockGuard ended it, E_COMMAND_FAILED with the words of
 * `failure` where it failed, and what Session.run throws.
 */
export async function succeed(
  session: Session,
  script: Script,
  options: RunOptions,
  failure: (result: CommandResult) => { readonly what: string; readonly fix: string },
): Promise<void> {
  const { server } = session
  const result = await session.run(script, options)
  if (result.code === 0) return
  const lost = lockLost(result, server, options.label)
  if (lost !== undefined) throw lost
  const why = result.stderr.trim().split('\n').slice(-3)
  throw new HactlError({ code: 'E_COMMAND_FAILED', server, why, ...failure(result) })
}
