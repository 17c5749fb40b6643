/** When a cluster is given up as restless: by when it was looked at, not by how long a look takes. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { lookAt, settledCluster } from '../../../src/engine/operations/at-rest.ts'
import { loadCluster } from '../../../src/app/load.ts'
import { createLinks } from '../../../src/engine/links.ts'
import { manualClock } from '../../support/clock.ts'
import { INVENTORY_PATH, memoryPorts } from '../../support/memory-ports.ts'
import { fakeSession } from '../../support/remote.ts'

const answer = (name: string) => readFileSync(join(import.meta.dirname, `../../../fixtures/probes/${name}.txt`), 'utf8')
const BACKUP = answer('fast-backup')
/** haproxy does not answer its check there. */
const HUNG = BACKUP.replace('@@begin check\n0\n', '@@begin check\n1\n')

// The cluster whose servers gave the recorded answers.
const INVENTORY = JSON.stringify({
  servers: [11, 12].map((number, index) => ({ name: `srv-${index + 1}`, host: `198.18.200.${number}` })),
  vrrp_instances: [{ name: 'VRRP1', virtual_router_id: 200, virtual_ipaddress: ['198.18.200.200/24'] }],
  haproxy: {
    frontends: [{ name: 'web', bind: [':80'], default_backend: 'app' }],
    backends: [{ name: 'app', servers: [{ name: 'a', address: '198.18.200.21:80' }] }],
  },
})

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
    const sessions = [
      session('srv-1', () => answer('fast-holder')),
      session('srv-2', () => (clock.monotonic() - startedMs < 8000 ? HUNG : BACKUP)),
    ]
    const links = createLinks(sessions, () => Promise.reject(new Error('nobody reconnects')))
    const unclaimed = () => {
      throw new Error('no lock is taken')
    }
    const run = { cluster, links, ports, onEvent: () => undefined, claim: unclaimed }
    const settle = async () => settledCluster(run, await lookAt(run))
    expect((await clock.settle(settle())).refusals).toEqual([])
  },
)
