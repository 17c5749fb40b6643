/** Asks every server, several times a second, which addresses it holds and which state its services are in. */
import { HactlError } from '../errors.ts'
import type { Script, Session } from '../ports.ts'
import type { HolderSample } from '../state/drill.ts'
import { watcherLimit } from './limits.ts'
import { isLoss } from './links.ts'
import { shWith } from '../shell/sh.ts'
import type { Watching } from './watching.ts'

/** Pause between two looks, in hundredths of a second; with the look itself some 110 ms to 150 ms. Longer where a look takes long. */
const PAUSE_HUNDREDTHS = 10
/** systemctl costs the most in a look. It is asked every so many looks, and at once when a main process is gone. */
const LOOKS_PER_SYSTEMCTL = 8
const RECONNECT_PAUSE_MS = 1000

export interface Watch {
  /** Virtual addresses in the form `ip` prints them. */
  readonly vips: readonly string[]
  /** Unit names without ".service". */
  readonly units: readonly string[]
  /** Absolute paths of files that hold one number each. */
  readonly trackers: readonly string[]
  /** The remote script ends by itself after this many ms, with or without a connection. */
  readonly boundMs: number
}

export interface SamplerRun extends Watching<HolderSample> {
  readonly session: Session
  /** A new connection after this one was lost; not closed here. */
  readonly reconnect: (lost: Session, signal: AbortSignal) => Promise<Session>
  readonly watch: Watch
}

/**
 * Samples one server until `stop` aborts. A lost connection is a sample (reachable: false); every second a new one is tried.
 * Resolves when it has stopped. Rejects with an error only where the connection is not at fault (E_SUDO, a script that cannot run).
 */
export async function runSampler(run: SamplerRun): Promise<void> {
  const { clock, stop, onSample } = run
  const endMs = clock.monotonic() + run.watch.boundMs
  const script = samplerScript(run.watch)
  let session = run.session
  while (!stop.aborted && clock.monotonic() < endMs) {
    const fault = await streamSamples(session, script, run)
    if (stop.aborted || fault === undefined) return
    if (!isLoss(fault)) throw fault
    onSample({ kind: 'holder', server: session.server, atMs: clock.monotonic(), reachable: false, holds: [], units: {} })
    const found = await sessionAgain(session, run, endMs)
    if (found === undefined) return
    session = found
  }
}

/** Tries to connect every second until the bound; undefined where it did not succeed in time or the sampling was stopped. */
async function sessionAgain(lost: Session, run: SamplerRun, endMs: number): Promise<Session | undefined> {
  const { clock, stop } = run
  while (!stop.aborted && clock.monotonic() < endMs) {
    try {
      await clock.sleep(RECONNECT_PAUSE_MS, stop)
      return await run.reconnect(lost, stop)
    } catch (error) {
      if (stop.aborted) return undefined
      if (!isLoss(error)) throw error
    }
  }
  return undefined
}

/** Runs the script on one connection. The error that ended it; undefined where it ended by itself. */
async function streamSamples(session: Session, script: Script, run: SamplerRun): Promise<unknown> {
  try {
    const result = await session.run(script, {
      effect: 'none',
      label: 'watch which addresses this server holds',
      ...watcherLimit(run.watch.boundMs, session.patience),
      signal: run.stop,
      onLine: line => {
        const sample = parseSample(line, session.server, run.clock.monotonic())
        if (sample !== undefined) run.onSample(sample)
      },
    })
    if (result.code === 0) return undefined
    return new HactlError({
      code: 'E_COMMAND_FAILED',
      server: session.server,
      what: `the watch of the addresses ended with status ${result.code}`,
      why: result.stderr.trim().split('\n').slice(-3),
      fix: `run hactl status, which looks at ${session.server} by the same tools; then run this command again`,
    })
  } catch (error) {
    return error
  }
}

/**
 * The script that prints one line for each look: "hactl up=SECONDS holds=A,B unit:NAME=STATE file:PATH=NUMBER".
 * It ends when no process reads it any more (SIGPIPE, or a failing echo where that is ignored) and after its bound by the server's clock.
 */
export function samplerScript({ vips, units, trackers, boundMs }: Watch): Script {
  const words = { VIPS: vips.join(' '), UNITS: units.join(' '), TRACKERS: trackers.join(' ') }
  const call = shWith('sampler.sh', { ...words, LOOKS_PER_SYSTEMCTL, PAUSE_HUNDREDTHS })
  return call`sample ${Math.ceil(boundMs / 1000)}`
}

/** One line of the script's as a sample; undefined for any other text. */
export function parseSample(line: string, server: string, atMs: number): HolderSample | undefined {
  const found = /^hactl up=(\d{1,10}(?:\.\d{1,9})?) holds=(\S*)((?: \S+=\S+)*)$/.exec(line.trim())
  if (found === null) return undefined
  const units: Record<string, string> = {}
  const trackers: Record<string, string | undefined> = {}
  for (const word of (found[3] ?? '').split(' ')) {
    const [, kind, name, value] = /^(unit|file):(.+)=([^=]+)$/.exec(word) ?? []
    if (name === undefined || value === undefined) continue
    if (kind === 'unit') units[name] = value
    else trackers[name] = value === 'none' ? undefined : value
  }
  return {
    kind: 'holder',
    server,
    atMs,
    uptimeMs: Number(found[1]) * 1000,
    reachable: true,
    holds: (found[2] ?? '').split(',').filter(address => address !== ''),
    units,
    trackers,
  }
}
