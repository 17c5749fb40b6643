/** Inventories with hostile text in random places, given to the real program: refused with a reason, or harmless; nothing in them runs. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { resultOf, type Run } from '../../e2e/support/hactl.ts'
import { root } from '../../e2e/support/lab.ts'
import { randomInventory } from '../../inventory/random.ts'
import { parseYaml } from '../../../src/yaml.ts'
import { isHung, told } from '../cluster.ts'
import { spoilt } from '../hostile.ts'
import type { Row, Tried, World } from '../row.ts'

const DEADLINE_MS = 30_000
/** So many run at once: they do nothing but start. */
const AT_ONCE = 4

function judge(run: Run, canary: string): Tried {
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
}

function startCheck({ work, random }: World, n: number, inventories: readonly unknown[], canary: string): Promise<Run> {
  // Half of them begin with one that is valid everywhere: there the hostile text is all that can be refused.
  const inventory = random.chance(50) ? randomInventory(random) : inventories[random.int(inventories.length)]
  const file = work.write(`hostile-${n % (2 * AT_ONCE)}.yml`, JSON.stringify(spoilt(inventory, random, canary)))
  return work.hactl(['check', file, '--json'], { limitMs: DEADLINE_MS })
}

export const hostile: Row = {
  name: 'hostile',
  title: 'an inventory with hostile text in it (hactl check)',
  times: 500,
  open: async world => {
    const canary = join(world.work.dir, 'canary')
    world.work.write('haproxy.cfg', 'listen web\n  bind :80\n')
    const inventories = ['every-field.yml', 'article.yml', 'two-servers.yml'].map(
      name => parseYaml(readFileSync(join(root, 'fixtures/inventories', name), 'utf8')).value,
    )
    const running: Promise<Run>[] = []
    let started = 0
    return {
      attempt: async () => {
        while (running.length < AT_ONCE) running.push(startCheck(world, started++, inventories, canary))
        const [first] = running.splice(0, 1)
        if (first === undefined) throw new TypeError('nothing was started')
        return judge(await first, canary)
      },
      close: async () => {
        await Promise.all(running)
      },
    }
  },
}
