import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { verifyFailover } from '../../src/app/verify-failover.ts'
import type { DrillAnnouncement } from '../../src/engine/operations/errand.ts'
import { type DrainWorld, drainWorld, keeping } from '../support/drain-world.ts'
import { PACKAGE_ROOT } from '../support/memory-ports.ts'

/** What an operator is told of these drills, who then says no. */
async function announced(world: DrainWorld, ...drills: readonly string[]): Promise<DrillAnnouncement | undefined> {
  const ports = world.newRun()
  const { files } = ports
  const own: Pick<typeof files, 'read' | 'list'> = {
    read: async (path, options) => (path.startsWith(PACKAGE_ROOT) ? readFileSync(path) : files.read(path, options)),
    list: async path => (path.startsWith(PACKAGE_ROOT) ? readdirSync(path) : files.list(path)),
  }
  let told: DrillAnnouncement | undefined
  const input = {
    inventoryPath: '/home/ops/edge/inventory.yml',
    limit: [],
    forks: 8,
    timeoutMs: 1000,
    drills,
    all: false,
    destructive: false,
    from: [],
    confirm: async (what: DrillAnnouncement) => {
      told = what
      return false
    },
  }
  const run = verifyFailover(input, { ...ports, files: { ...files, ...own } }, () => {}, PACKAGE_ROOT)
  await expect(world.clock.settle(run)).rejects.toMatchObject({ code: 'E_DECLINED' })
  return told
}

test("the announcement says what becomes of clients' open connections in the drills that stop haproxy on purpose, and in no other", async () => {
  const world = drainWorld()
  world.openConnections = () => keeping({})
  expect(await announced(world, 'haproxy-stop', 'haproxy-kill', 'haproxy-restart', 'cascade')).toMatchObject({
    ends: { drills: ['haproxy-stop', 'haproxy-restart', 'cascade'], fate: 'they have 20 s (stop_timeout), then haproxy ends them' },
  })
  expect(await announced(world, 'haproxy-kill', 'keepalived-stop')).toMatchObject({ ends: undefined })
})

test('nothing is said of stop_timeout where no open connection is kept', async () => {
  expect(await announced(drainWorld(), 'haproxy-stop')).toMatchObject({ drills: [{ drill: 'haproxy-stop' }], ends: undefined })
})
