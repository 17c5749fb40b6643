/** Looks through the virtual address while something happens: the poller's figures and, where it lost something, what keepalived says to it. */
import { startPoller } from '../e2e/support/poller.ts'
import type { Tried, World } from './row.ts'

/** How long clients wait. A busy machine answers late, and a late answer is not lost: the slowest answer is reported. */
const ANSWER_LIMIT_MS = 5_000

export type Found = Omit<Tried, 'probes' | 'lost'>

export async function aroundPoller(world: World, act: () => Promise<Found>): Promise<Tried> {
  const poller = await startPoller(world.lab.vip, ANSWER_LIMIT_MS)
  const since = Math.floor(Date.now() / 1000)
  let found: Found
  try {
    found = await act()
  } catch (error) {
    found = { broken: [error instanceof Error ? error.message : String(error)], hung: [] }
  }
  const seen = await poller.stop()
  if (seen.failed > 0) {
    world.say(`   lost ${seen.failed}, outage ${seen.outageMs} ms (${seen.errors.join(', ')})`)
    for (const { name } of world.lab.servers) {
      const journal = await world.lab.trySh(
        name,
        `journalctl -q --no-pager -o short-precise -u keepalived --since @${since} | grep -E 'STATE|failed|succe' | tail -n 8`,
      )
      for (const line of journal.stdout.split('\n').filter(text => text !== '')) world.say(`   ${name}: ${line}`)
    }
  }
  return {
    ...found,
    probes: seen.probes,
    lost: seen.failed,
    longestMs: { 'slowest answer': seen.slowestMs, ...(seen.outageMs > 0 ? { 'no answer': seen.outageMs } : {}), ...found.longestMs },
  }
}
