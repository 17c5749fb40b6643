/** The controller is killed at a random moment of a roll-out. */
import { pause } from '../../e2e/support/lab.ts'
import { aroundPoller } from '../around.ts'
import { deployMs, finish, liveConfig, nextConfig, phaseOf, startDeploy, wounds } from '../cluster.ts'
import type { Row } from '../row.ts'

/** One of this many tries lets the lock expire; for the others hactl unlock saves the half minute. */
const WAIT_EVERY = 10

export const kill: Row = {
  name: 'kill',
  title: 'hactl is killed (SIGKILL) at a random moment of a roll-out',
  times: 100,
  open: async world => {
    let spanMs = await deployMs(world)
    return {
      attempt: n =>
        aroundPoller(world, async () => {
          for (let before = liveConfig(); ; ) {
            const config = nextConfig()
            const run = startDeploy(world, config)
            await pause(world.random.int(Math.round(spanMs)))
            const phase = phaseOf(run)
            run.signal('SIGKILL')
            const killedMs = performance.now()
            if ((await run.ended).exit !== 137) {
              // The run was faster than the last one, and was not killed.
              spanMs *= 0.95
              before = config
              continue
            }
            const first = await wounds(world, [before, config])
            const rest = await finish(world, config, n % WAIT_EVERY === 0 ? killedMs : undefined)
            return {
              broken: [...first, ...rest.broken],
              hung: rest.hung,
              counts: { [phase]: 1 },
              ...(rest.lockFreeMs === undefined ? {} : { longestMs: { 'the lock freed itself': rest.lockFreeMs } }),
            }
          }
        }),
    }
  },
}
