/** Runs poller-process.ts beside a test and judges what it saw. */
import { type Beside, startBeside } from './beside.ts'

export interface Polled {
  readonly probes: number
  readonly failed: number
  /** From the last good probe's sending to the next good one's, the longest such gap; 0 where no probe failed. */
  readonly outageMs: number
  /** The longest that an answer took, in ms. */
  readonly slowestMs: number
  /** The backends that answered. */
  readonly backends: readonly string[]
  /** The errors of the failed probes, each once. */
  readonly errors: readonly string[]
}

interface Asked {
  readonly sentMs: number
  readonly ok: boolean
  readonly tookMs: number
  readonly said: string
}

/** Polls until stopped; resolves once the first probe is about to be sent. `answerLimitMs`: an answer that takes longer counts as lost. */
export async function startPoller(address: string, answerLimitMs = 1000): Promise<Beside<Polled>> {
  const polling = await startBeside<readonly Asked[]>('poller-process.ts', `http://${address}/`, String(answerLimitMs))
  return { stop: async () => judge(await polling.stop()) }
}

function judge(samples: readonly Asked[]): Polled {
  let outageMs = 0
  let lastGoodMs = samples[0]?.sentMs ?? 0
  let isBroken = false
  for (const sample of samples) {
    if (!sample.ok) isBroken = true
    else {
      if (isBroken) outageMs = Math.max(outageMs, sample.sentMs - lastGoodMs)
      isBroken = false
      lastGoodMs = sample.sentMs
    }
  }
  if (isBroken) outageMs = Math.max(outageMs, (samples.at(-1)?.sentMs ?? lastGoodMs) - lastGoodMs)
  const failed = samples.filter(sample => !sample.ok)
  return {
    probes: samples.length,
    failed: failed.length,
    outageMs: Math.round(outageMs),
    slowestMs: Math.round(Math.max(0, ...samples.filter(sample => sample.ok).map(sample => sample.tookMs))),
    backends: [...new Set(samples.filter(sample => sample.ok).map(sample => sample.said))].toSorted(),
    errors: [...new Set(failed.map(sample => sample.said))],
  }
}

/**
 * Throws where the address was away for a second or more. A move may cut requests in flight, and on a busy machine the new holder's
 * keepalived may wait for a CPU between its first advert and its address. An address on a server that does not serve is away for seconds.
 */
export function expectNoHole(seen: Polled): void {
  if (seen.outageMs >= 1000) throw new Error(`the address was away: ${JSON.stringify(seen)}`)
}
