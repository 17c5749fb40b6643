/** Open connections on the lab of real kernels: clients that have some while a test does something, and what the service on a server says. */
import { get, type IncomingMessage } from 'node:http'
import { type Lab, SERVERS, until } from '../../e2e/support/lab.ts'
import { openPatientClients } from '../../e2e/support/open.ts'
import { noteFigure } from './kernel-lab.ts'

const PROGRAM = '/usr/local/lib/hactl/open-connections.pl'
/** Connections to each address: a server there answers a few hundred requests a second. */
export const CLIENTS = 3
/** A client that waits for longer has been left in silence: in this time a server there is found dead, and TCP asks four times. */
const SILENCE_MS = 60_000

/** Who owns the tables of the rules, by Debian's release: what its kernel and its nft can do (evidence O7). */
const OWNERSHIP: Readonly<Record<string, string>> = { bullseye: 'ordinary', bookworm: 'owner', trixie: 'owner,persist' }

/** "owner", "owner,persist", or "ordinary": then somebody's `nft flush ruleset` takes the rules away. Throws for a release that is not known. */
export function ownershipOf({ release }: Pick<Lab, 'release'>): string {
  const ownership = OWNERSHIP[release]
  if (ownership === undefined) throw new Error(`nobody has said who owns the tables on ${release}`)
  return ownership
}

/** What the service says of itself, one fact a line. */
export async function serviceStatus(lab: Lab, server: string): Promise<readonly string[]> {
  return (await lab.sh(server, `${PROGRAM} status`)).trimEnd().split('\n')
}

/** Waits until the rules are loaded on these servers, and packets of each instance have come back from all of their peers. */
export async function untilArmed(lab: Lab, instances: number, servers: readonly string[] = SERVERS): Promise<void> {
  const isArmed = (said: readonly string[]) =>
    said[0] === `rules ${ownershipOf(lab)}` && said.filter(line => /^proven .* yes$/.test(line)).length === instances * (SERVERS.length - 1)
  for (const server of servers) {
    await until(`${server} has its rules, and its peers receive what it sends on`, 60_000, async () =>
      isArmed(await serviceStatus(lab, server)),
    )
  }
}

export interface Seen {
  readonly kept: number
  /** How those that were lost ended: "ECONNRESET" is a client that was told, "silence" one that was not. */
  readonly lost: readonly string[]
  /** Of the download: an error, or undefined where it goes on. */
  readonly download: string | undefined
  readonly slowestMs: number
}

/** Nothing was cut of what was open to so many addresses. */
export const nothingLost = (addresses: number): Partial<Seen> => ({ kept: addresses * CLIENTS, lost: [], download: undefined })

/** The errors of clients that were neither kept nor told. */
export function untold({ lost, download }: Seen): readonly string[] {
  return [...lost, ...(download === undefined ? [] : [download])].filter(error => error !== 'ECONNRESET')
}

/**
 * Does `task` while CLIENTS connections are open to each of `addresses` (HOST:PORT), and a download from the first of them is under way. All of
 * them are used once more after it. What became of them is noted as a figure of `what`.
 */
export async function whileOpen(what: string, addresses: readonly string[], task: () => Promise<unknown>): Promise<Seen> {
  const download = await startDownload(`http://${addresses[0]}/endless`)
  try {
    const open = await openPatientClients(CLIENTS, SILENCE_MS, ...addresses)
    try {
      await task()
      const ended = await download.goesOn()
      const { kept, lost, slowestMs } = await open.stop()
      const went = `the download ${ended === undefined ? 'went on' : `ended: ${ended}`}`
      noteFigure(`${what}: ${kept} of ${kept + lost.length} connections kept, longest wait ${slowestMs} ms, ${went}`)
      return { kept, lost: lost.map(({ error }) => error), download: ended, slowestMs }
    } catch (error) {
      await open.stop()
      throw error
    }
  } finally {
    download.stop()
  }
}

interface Download {
  /** Waits for more of it. The error with which it has ended, or undefined; "silence" where nothing comes. */
  goesOn(): Promise<string | undefined>
  stop(): void
}

/** Of an answer without an end. Resolves once its first bytes are here. */
async function startDownload(url: string): Promise<Download> {
  let [bytes, ended]: [number, string | undefined] = [0, undefined]
  // node makes an error of its own of a FIN within an answer, with the same code and without a system call.
  const failed = (error: NodeJS.ErrnoException) => {
    ended ??= error.syscall === undefined ? `closed: ${error.message}` : error.code
  }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = get(url, { agent: false }, resolve)
    asking.on('error', failed)
    asking.once('error', reject)
    asking.setTimeout(SILENCE_MS, () => asking.destroy(new Error('silence')))
  })
  answer.on('error', failed)
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  answer.once('close', () => {
    ended ??= 'closed'
  })
  const goesOn = async () => {
    const before = bytes
    const endMs = performance.now() + SILENCE_MS
    await until('the download goes on or ends', SILENCE_MS + 1000, () => bytes > before || ended !== undefined || performance.now() > endMs)
    return bytes > before ? undefined : (ended ?? 'silence')
  }
  await goesOn()
  return { goesOn, stop: () => void answer.destroy() }
}
