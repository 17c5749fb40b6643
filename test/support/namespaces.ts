/** Programs in user, network, mount and process namespaces of their own: nothing of this machine is touched, and all ends with them. */
import type { TestContext } from 'vitest'
import { skipLacking } from './lacking.ts'
import { type ProgramVerdict, realProgram, verdictOf } from './real-programs.ts'

const NAMESPACES = ['-rnmpf', '--kill-child', '--mount-proc']

/** Runs a script of sh as root of such namespaces, with nft. Skips the test, with the reason printed, where this user cannot make them. */
export function verdictInNamespaces(context: TestContext, script: string, ...args: readonly string[]): ProgramVerdict {
  const nft = realProgram('nft', context)
  if (verdictOf('unshare', ...NAMESPACES, nft, 'list', 'ruleset').code !== 0)
    skipLacking(context, 'this user cannot make namespaces with a packet filter')
  return verdictOf('unshare', ...NAMESPACES, 'sh', '-c', script, 'sh', ...args)
}
