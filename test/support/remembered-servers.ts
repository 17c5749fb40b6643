/**
 * Servers that are folders, and on which no script runs twice: a script that was sent before, after the same scripts, is answered from memory,
 * and gives the server the same state. So a command can be run from the start hundreds of times, and only what differs needs a shell.
 */
import type { CommandResult, Remote, RunOptions, Script, Session } from '../../src/ports.ts'
import { type Content, contentOf, replaceContent } from './folder-content.ts'
import { unreachable } from './remote.ts'
import { fingerprint, type ShellServer } from './shell-server.ts'

/** A server after certain scripts. */
interface Moment {
  readonly content: Content
  /** The whole state of the server as text. */
  readonly state: string
  /** Whether both services run there: the other servers see only that. */
  readonly runs: boolean
  /** The moment after each script that ran from here. */
  readonly next: Map<string, { readonly result: CommandResult; readonly after: Moment }>
}

export interface RememberedServers {
  /** The servers in their first state. A script on one of these sets does not change another set. Only one set at a time may be used. */
  start(): { readonly remote: Remote; readonly stateOf: (server: string) => string }
}

/**
 * `noState`: paths that are no part of the state. `nowMs`: the time on every server, as ms since the epoch. From now on only scripts that are
 * sent through this may change the servers.
 */
export function rememberedServers(
  servers: readonly ShellServer[],
  { noState, nowMs }: { readonly noState: RegExp; readonly nowMs: number },
): RememberedServers {
  const clock = `clock ${Math.floor(nowMs / 1000)} ${(nowMs % 1000) * 1_000_000}`
  const momentOf = (server: ShellServer): Moment => ({
    content: contentOf(server.root),
    state: fingerprint(server.root, noState),
    runs: ['haproxy', 'keepalived'].every(unit => server.read(`/world/units/${unit}/active`) !== undefined),
    next: new Map(),
  })
  const first = new Map(servers.map(server => [server, momentOf(server)]))
  /** The moment of each folder. */
  const held = new Map(first)
  return {
    start() {
      const now = new Map(first)
      const momentNow = (server: ShellServer) => now.get(server) ?? momentOf(server)
      const put = (server: ShellServer) => {
        const wanted = momentNow(server)
        const old = held.get(server)
        if (old === wanted || old === undefined) return
        replaceContent(server.root, old.content, wanted.content)
        held.set(server, wanted)
      }
      let turn: Promise<unknown> = Promise.resolve()
      const send = async (server: ShellServer, script: Script, options: RunOptions): Promise<CommandResult> => {
        const before = momentNow(server)
        // The stand-ins of ip and of keepalived look at the services of the other servers, too.
        const key = [...servers.map(each => momentNow(each).runs), script.raw].join('\n')
        const known = before.next.get(key)
        if (known !== undefined) {
          now.set(server, known.after)
          for (const line of known.result.stdout.split('\n').slice(0, -1)) options.onLine?.(line)
          return known.result
        }
        for (const each of servers) put(each)
        const ran = await server.session.run(script, options).finally(() => {
          held.set(server, momentOf(server))
          now.set(server, held.get(server) ?? before)
        })
        const result = { ...ran, stdout: ran.stdout.replace(/^clock \d+ \d+$/m, clock) }
        before.next.set(key, { result, after: momentNow(server) })
        return result
      }
      const session = (server: ShellServer): Session => ({
        ...server.session,
        // One after the other: a script sees the other servers at rest.
        run: (script, options) => {
          const result = turn.then(() => send(server, script, options))
          turn = result.catch(() => {})
          return result
        },
      })
      const find = (name: string) => {
        const found = servers.find(server => server.name === name)
        if (found === undefined) throw unreachable(name)
        return found
      }
      return {
        remote: { connect: async target => session(find(target.server)) },
        stateOf: name => momentNow(find(name)).state,
      }
    },
  }
}
