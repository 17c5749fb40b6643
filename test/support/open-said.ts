/** Servers that are folders have no service that keeps connections open: what it says is put into the answers of their looks. */
import type { Ports, Session } from '../../src/ports.ts'

const SECTION = /^(@@begin open-connections\n)[^]*?(@@end open-connections)$/m

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

/** A service that runs on a server of which the look says that it could not have loaded its rules: no plan of a test then adds the service. */
export function openOn(port: number, connections: number): string {
  const open = connections === 0 ? 'instance VRRP1 none' : `instance VRRP1 kept\nopen VRRP1 ${port} ${connections}`
  return `running\nrules owner\nunable nft-missing\n${open}\n`
}
