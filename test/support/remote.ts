/** A Remote whose servers answer only what a test expects: an unexpected script fails, naming what was expected. */
import { HactlError } from '../../src/errors.ts'
import { createLinks, type Links } from '../../src/engine/links.ts'
import type { CommandResult, ConnectTarget, Remote, RunOptions, Session } from '../../src/ports.ts'
import { interrupted } from './clock.ts'

export interface Asked {
  readonly script: string
  /** The script without the files whose functions it calls, and with its secrets masked: what a log shows. */
  readonly call: string
  readonly options: RunOptions
  /** Sends one line of stdout, as it would arrive. */
  readonly emit: (line: string) => void
  /** Aborted when the caller gives up or the connection is lost: an endless answer must stop then. */
  readonly gone: AbortSignal
}

type Answer = Partial<CommandResult> | undefined

export interface Reply {
  /** Of the call. */
  readonly when: RegExp
  readonly reply: (asked: Asked) => Answer | Promise<Answer>
}

export interface FakeSession extends Session {
  /** Every script that was sent, in order. */
  readonly sent: readonly string[]
  /** Their calls. */
  readonly calls: readonly string[]
  readonly isClosed: boolean
  /** Cuts the connection: what runs fails with E_CONNECTION_LOST, and so does all that comes after. */
  lose(): void
}

export function fakeSession(server: string, replies: readonly Reply[]): FakeSession {
  const sent: string[] = []
  const calls: string[] = []
  const lost = new AbortController()
  let isClosed = false
  return {
    server,
    peer: `${server}.example.com:22`,
    patience: 1,
    sent,
    calls,
    get isClosed() {
      return isClosed
    },
    lose: () => lost.abort(),
    async run(script, options) {
      if (options.signal?.aborted) throw interrupted()
      if (lost.signal.aborted) throw connectionLost(server)
      sent.push(script.raw)
      calls.push(script.masked)
      const expected = replies.find(reply => reply.when.test(script.masked))
      if (expected === undefined) {
        throw new Error(
          `${server} did not expect this script:\n${script.masked}\nbut one of: ${replies.map(reply => reply.when).join(', ')}`,
        )
      }
      const gone = AbortSignal.any(options.signal === undefined ? [lost.signal] : [lost.signal, options.signal])
      const lines: string[] = []
      const emit = (line: string) => {
        if (gone.aborted) return
        if (options.onLine === undefined) lines.push(line)
        else options.onLine(line)
      }
      const ended = new Promise<never>((_, reject) => {
        gone.addEventListener('abort', () => reject(lost.signal.aborted ? connectionLost(server) : interrupted()), {
          once: true,
        })
      })
      const answer = await Promise.race([
        Promise.resolve(expected.reply({ script: script.raw, call: script.masked, options, emit, gone })),
        ended,
      ])
      return { code: 0, stdout: lines.map(line => `${line}\n`).join(''), stderr: '', durationMs: 1, ...answer }
    },
    async close() {
      isClosed = true
    },
  }
}

/** Connects by the inventory's name of the server; a name without an entry is unreachable. */
export function fakeRemote(sessions: Readonly<Record<string, () => Session>>): Remote & { readonly connected: readonly string[] } {
  const connected: string[] = []
  return {
    connected,
    async connect(target: ConnectTarget, signal) {
      if (signal?.aborted) throw interrupted()
      connected.push(target.server)
      const open = sessions[target.server]
      if (open === undefined) throw unreachable(target.server)
      return open()
    },
  }
}

export function connectionLost(server: string): HactlError {
  return new HactlError({ code: 'E_CONNECTION_LOST', server, what: `the connection to ${server} was lost` })
}

export function unreachable(server: string): HactlError {
  return new HactlError({ code: 'E_SSH_UNREACHABLE', server, what: `${server} cannot be reached` })
}

/** Links of these sessions, of which none is made again. */
export function fixedLinks(sessions: Iterable<Session>): Links {
  return createLinks([...sessions], server => Promise.reject(new Error(`a new connection to ${server} is not expected in this test`)))
}
