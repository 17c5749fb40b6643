/** Runs open-process.ts beside a test. */
import { type Beside, startBeside } from './beside.ts'

/** What became of connections that were open all the time. */
export interface Opened {
  readonly kept: number
  readonly lost: readonly {
    /** "silence": no answer in 8 s, or in what patient clients have. */
    readonly error: string
    /** From its last request, in ms. */
    readonly afterMs: number
    /** Date.now() when the client knew. */
    readonly atMs: number
  }[]
  readonly slowestMs: number
}

/** Opens as many connections to each address (HOST:PORT), and asks on all of them until stopped. Resolves once all have been answered. */
export function openClients(clients: number, ...addresses: readonly string[]): Promise<Beside<Opened>> {
  return startBeside('open-process.ts', String(clients), '8000', 'at-once', ...addresses)
}

/** The same for slow servers: an answer may take `limitMs`, and a connection is kept only where it is answered once more after the stop. */
export function openPatientClients(clients: number, limitMs: number, ...addresses: readonly string[]): Promise<Beside<Opened>> {
  return startBeside('open-process.ts', String(clients), String(limitMs), 'once-more', ...addresses)
}
