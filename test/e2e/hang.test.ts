/** A haproxy that runs and does not answer: only the check detects it, and no event. Needs: any lab. Leaves: fast, converged. */
import { expect, test } from 'vitest'
import { expectExit, resultOf } from './support/hactl.ts'
import { openLab, pause, until } from './support/lab.ts'
import { deployedWorkspace } from './support/opening.ts'
import { expectNoHole, startPoller } from './support/poller.ts'
import { untilHeldBy } from './support/servers.ts'

const lab = openLab()
const work = deployedWorkspace(lab)

test('haproxy hangs: status says so, another server takes over, and the address returns once haproxy answers again', async () => {
  await untilHeldBy(lab, 'srv-1')
  await lab.sh('srv-1', 'systemctl kill --signal=STOP haproxy')
  await untilHeldBy(lab, 'srv-2')
  const status = resultOf(await work.hactl(['status', '--json']))
  expect(status.servers?.map(server => server.haproxy)).toEqual([expect.stringContaining('fails its check'), 'healthy', 'healthy'])
  expect(status.servers?.map(server => server.holds)).toEqual([[], [lab.vip], []])
  // A deploy with nothing to do does not report this as healthy.
  expectExit(await work.hactl(['deploy', '--yes', '--quiet']), 5)
  const poller = await startPoller(lab.vip)
  await lab.sh('srv-1', 'systemctl kill --signal=CONT haproxy')
  await untilHeldBy(lab, 'srv-1')
  await pause(500)
  expectNoHole(await poller.stop())
  await until('all is well', 10_000, async () => (await work.hactl(['status', '--quiet'])).exit === 0)
})
