/** Inventories with hostile text in random places, given to the real program: refused with a place in the file, or checked; nothing of them runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { resultOf } from '../../e2e/support/hactl.ts'
import { randomInventory } from '../../inventory/random.ts'
import { isHung, told } from '../cluster.ts'
import { spoilt } from '../hostile.ts'
import type { Row } from '../row.ts'

const DEADLINE_MS = 20_000

export const hostile: Row = {
  name: 'hostile',
  title: 'an inventory with hostile text in it (hactl check)',
  times: 500,
  open: async world => {
    const { work, random } = world
    const canary = join(work.dir, 'canary')
    return {
      attempt: async () => {
        work.write('inventory.yml', JSON.stringify(spoilt(randomInventory(random), random, canary)))
        const run = await work.hactl(['check', '--json'], { limitMs: DEADLINE_MS })
        const broken: string[] = []
        if (existsSync(canary)) broken.push('a command in the inventory was run')
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
      },
    }
  },
}
