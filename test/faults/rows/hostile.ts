/** Inventories in which one value is hostile, given to the real program: refused with a reason, or harmless; nothing in them runs. */
import { existsSync, rmSync } from 'node:fs'
import { resultOf, type Run } from '../../e2e/support/hactl.ts'
import { CANARY, hostileInventory } from '../../support/hostile-inventories.ts'
import { isHung, told } from '../cluster.ts'
import type { Row, Tried, World } from '../row.ts'

const DEADLINE_MS = 60_000
/** How many run at once: they do little more than start. */
const AT_ONCE = 4

function judge(run: Run): Tried {
  const broken: string[] = []
  if (existsSync(CANARY)) {
    broken.push(`a command in the inventory was run: ${CANARY} is there`)
    rmSync(CANARY)
  }
  if (!isHung(run)) {
    if (run.exit !== 0 && run.exit !== 3) broken.push(told(run))
    else if (run.exit === 3 && (resultOf(run).what ?? '') === '') broken.push('refused without a reason')
  }
  return {
    probes: 0,
    lost: 0,
    broken,
    hung: isHung(run) ? [told(run)] : [],
    counts: { [run.exit === 0 ? 'harmless' : 'refused']: 1 },
  }
}

function startCheck({ work }: World, number: number): Promise<Run> {
  const { text, env } = hostileInventory(number)
  const file = work.write(`hostile-${number % (2 * AT_ONCE)}.yml`, text)
  // No program can be given an environment with a NUL in it.
  const harmless = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replaceAll('\0', '')]))
  return work.hactl(['check', file, '--json'], { limitMs: DEADLINE_MS, env: harmless })
}

export const hostile: Row = {
  name: 'hostile',
  title: 'an inventory with a hostile value in it (hactl check)',
  times: 500,
  open: async world => {
    world.work.write('haproxy-usual.cfg', 'listen web\n  bind :80\n')
    const running = new Map<number, Promise<Run>>()
    return {
      attempt: async n => {
        for (let ahead = n; ahead < n + AT_ONCE; ahead++) if (!running.has(ahead)) running.set(ahead, startCheck(world, ahead))
        const run = await running.get(n)
        running.delete(n)
        if (run === undefined) throw new TypeError('nothing was started')
        return judge(run)
      },
      close: async () => {
        await Promise.all(running.values())
      },
    }
  },
}
