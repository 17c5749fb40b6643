/** When a cluster is given up as restless: by when it was looked at, not by how long a look takes. */
import { expect, test } from 'vitest'
import { lookAt, settledCluster } from '../../../src/engine/operations/at-rest.ts'
import { loadCluster } from '../../../src/app/load.ts'
import { createLinks } from '../../../src/engine/links.ts'
import { manualClock } from '../../support/clock.ts'
import { INVENTORY_PATH, memoryPorts } from '../../support/memory-ports.ts'
import { BACKUP, HOLDER, HUNG, RECORDED_INVENTORY } from '../../support/recorded-cluster.ts'
import { fakeSession } from '../../support/remote.ts'

const INVENTORY = JSON.stringify(RECORDED_INVENTORY)

test.each([
  { lookTakesMs: 6000, patience: 1 },
  { lookTakesMs: 100, patience: 3 },
])(
  'a cluster that comes to rest late is waited for where a look takes $lookTakesMs ms, with patience $patience',
  async ({ lookTakesMs, patience }) => {
    const clock = manualClock()
    const ports = memoryPorts(new Map([['inventory.yml', INVENTORY]]), { clock })
    const { cluster } = await loadCluster(INVENTORY_PATH, ports)
    const startedMs = clock.monotonic()
    const session = (name: string, says: () => string) => ({
      ...fakeSession(name, [
        {
          when: /^ask_keepalived$/m,
          async reply() {
            const stdout = says()
            await clock.sleep(lookTakesMs)
            return { stdout }
          },
        },
      ]),
      patience,
    })
    const sessions = [session('srv-1', () => HOLDER), session('srv-2', () => (clock.monotonic() - startedMs < 8000 ? HUNG : BACKUP))]
    const links = createLinks(sessions, () => Promise.reject(new Error('nobody reconnects')))
    const unclaimed = () => {
      throw new Error('no lock is taken')
    }
    const run = { cluster, links, ports, onEvent: () => undefined, claim: unclaimed }
    const settle = async () => settledCluster(run, await lookAt(run))
    expect((await clock.settle(settle())).refusals).toEqual([])
  },
)
