/** As cut-connections.test.ts, for the commands that move addresses. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { status } from '../../src/app/status.ts'
import { verifyFailover } from '../../src/app/verify-failover.ts'
import type { Ports } from '../../src/ports.ts'
import { type World, wrongStatuses } from '../support/cuts.ts'
import { type DrainWorld, drainWorld } from '../support/drain-world.ts'
import { PACKAGE_ROOT } from '../support/memory-ports.ts'

type Run = (ports: Ports, world: DrainWorld) => Promise<unknown>

const input = { inventoryPath: '/home/ops/edge/inventory.yml', limit: [], forks: 8, timeoutMs: 1000 }
const drills = { drills: [], all: false, destructive: false, from: [], confirm: async () => true }

const verify: Run = async (ports, { clock }) => {
  const report = await clock.settle(verifyFailover({ ...input, ...drills }, ports, () => {}, PACKAGE_ROOT))
  return report.exit
}

const look: Run = async (ports, { clock }) => (await clock.settle(status(input, ports, PACKAGE_ROOT))).exit

const worldOf = (run: Run, differ: (world: DrainWorld) => void) => (): World => {
  const world = drainWorld()
  differ(world)
  const ports = world.newRun()
  const { files } = ports
  const own: Pick<Ports['files'], 'read' | 'list'> = {
    read: async (path, options) => (path.startsWith(PACKAGE_ROOT) ? readFileSync(path) : files.read(path, options)),
    list: async path => (path.startsWith(PACKAGE_ROOT) ? readdirSync(path) : files.list(path)),
  }
  return {
    ports: { ...ports, files: { ...files, ...own } },
    stateOf: server =>
      JSON.stringify([
        world.drains.get(server) ?? 0,
        world.persistent.has(server),
        world.halted.has(server),
        world.timers.has(server),
        world.holder === server,
      ]),
    run: given => run(given, world),
  }
}

test.for<[string, Run, number, ((world: DrainWorld) => void)?]>([
  ['a drain', (ports, world) => world.drain('srv-1', { persist: true }, ports), 15],
  ['an undrain', (ports, world) => world.undrain('srv-1', ports), 10, world => void world.drains.set('srv-1', -253)],
  ['a drill', verify, 15, world => void (world.takeoverMs = 300)],
  ['a status', look, 3],
])(
  'wherever a connection dies, 4 and 5 say that nothing was changed, and nothing else does: %s',
  async ([, run, least, differ = () => {}]) => {
    const { wrong, failed } = await wrongStatuses(worldOf(run, differ))
    expect(wrong).toEqual([])
    expect(failed).toBeGreaterThanOrEqual(least)
  },
)
