/** Servers of tests have no service that keeps connections open: what it says is put into the answers of their looks. */
import { createHash } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { OPEN_CONNECTIONS_SCRIPT } from '../../src/domain/paths.ts'
import type { Ports, Session } from '../../src/ports.ts'
import type { ShellServer } from './shell-server.ts'

/** As a command has it without --wait. */
export const NO_WAIT = { waitMs: undefined, force: false }

const SECTION = /^(@@begin open-connections\n)[^]*?(@@end open-connections)$/m

/** An answer to a look, as of a server on which the service was deployed, with these lines of the service's. */
export function withService(answer: string, words: string): string {
  return answer
    .replace(/^@@begin stats\n/m, `$&755 root root 10 ${OPEN_CONNECTIONS_SCRIPT}\n`)
    .replace(/^@@begin sums\n/m, `$&${'a'.repeat(64)}  ${OPEN_CONNECTIONS_SCRIPT}\n`)
    .replace(/^@@end all$/m, `@@begin open-connections\n${words}@@end open-connections\n@@end all`)
}

/** `said`: the service's words on a server; undefined where it is not there. */
export function withOpenSaid(ports: Ports, said: (server: string) => string | undefined): Ports {
  const hearing = (session: Session): Session => ({
    ...session,
    async run(script, options) {
      const result = await session.run(script, options)
      const words = options.label === 'read the facts of this server' ? said(session.server) : undefined
      if (words === undefined) return result
      const heard = `@@begin open-connections\n${words}@@end open-connections\n`
      const { stdout } = result
      const isAsked = SECTION.test(stdout)
      return { ...result, stdout: isAsked ? stdout.replace(SECTION, `$1${words}$2`) : stdout.replace(/^@@end all$/m, `${heard}@@end all`) }
    },
  })
  return { ...ports, remote: { connect: async (target, signal) => hearing(await ports.remote.connect(target, signal)) } }
}

/** Says so often as it is asked what srv-2 has open: the next of these counts, the last one for all later looks. The others have none. */
export function openOnSecond(counts: readonly number[]): (server: string) => string {
  let looks = 0
  return server => openOn(80, server === 'srv-2' ? (counts[Math.min(looks++, counts.length - 1)] ?? 0) : 0)
}

const TOOL = '#!/bin/sh\n'

/** The script by which a server starts and stops the service, as a deploy has left it there. */
export function putTool(server: ShellServer): void {
  putDeployed(server, { path: OPEN_CONNECTIONS_SCRIPT, after: TOOL, mode: '0755' })
}

/** A file as a deploy has left it there. */
export function putDeployed(
  server: ShellServer,
  { path, after, mode }: { readonly path: string; readonly after: string; readonly mode: string },
): void {
  server.write(path, after)
  chmodSync(join(server.root, path), Number.parseInt(mode, 8))
  const sum = createHash('sha256').update(after).digest('hex')
  server.write('/var/lib/hactl/owned', `${server.read('/var/lib/hactl/owned') ?? ''}${sum}  ${server.root}${path}\n`)
}

export const hasTool = (server: ShellServer): boolean => server.read(OPEN_CONNECTIONS_SCRIPT) !== undefined

/** A service that runs on a server of which the look says that it could not have loaded its rules: no plan of a test then adds the service. */
export function openOn(port: number, connections: number): string {
  const open = connections === 0 ? 'instance VRRP1 none' : `instance VRRP1 kept\nopen VRRP1 ${port} ${connections}`
  return `running\nrules owner\nunable nft-missing\n${open}\n`
}
