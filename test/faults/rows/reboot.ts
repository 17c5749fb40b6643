/** A server reboots, in the middle of a roll-out. */
import { resultOf } from '../../e2e/support/hactl.ts'
import { pause, SERVERS, until } from '../../e2e/support/lab.ts'
import { aroundPoller } from '../around.ts'
import { deployMs, finish, isHung, liveConfig, nextConfig, startDeploy, told, untilUp, wounds } from '../cluster.ts'
import type { Row, World } from '../row.ts'

const DEADLINE_MS = 60_000

async function strike(world: World, server: string): Promise<void> {
  await world.lab.trySh(server, 'touch /run/faults-boot; systemctl reboot')
  await until('it has gone down and is back', 60_000, async () => (await world.lab.trySh(server, '[ ! -e /run/faults-boot ]')).code === 0)
}

export const reboot: Row = {
  name: 'reboot',
  title: 'a server reboots in the middle of a roll-out',
  times: 20,
  open: async world => {
    const spanMs = await deployMs(world)
    return {
      attempt: () =>
        aroundPoller(world, async () => {
          const before = liveConfig()
          const config = nextConfig()
          const server = world.random.pick(['srv-1', 'srv-2', 'srv-3'])
          const run = startDeploy(world, config)
          await pause(world.random.int(Math.round(spanMs)))
          const struckMs = performance.now()
          await strike(world, server)
          const ended = await run.ended
          const afterMs = performance.now() - struckMs
          await untilUp(world)
          const first = await wounds(world, [before, config])
          const odd = isHung(ended) || [0, 4, 5, 6].includes(ended.exit) ? [] : [told(ended)]
          const rest = await finish(world, config, undefined)
          await until('the address is at home again', 20_000, async () => (await world.lab.holders()).join() === SERVERS[0])
          const late = afterMs > DEADLINE_MS ? [`the run ended ${Math.round(afterMs / 1000)} s after the reboot`] : []
          return {
            broken: [...odd, ...first, ...rest.broken],
            hung: [...(isHung(ended) ? [`${server}: ${told(ended)}`] : late), ...rest.hung],
            counts: { [`exit ${ended.exit}${ended.exit === 0 ? '' : ` ${resultOf(ended).code ?? ''}`}`]: 1 },
            longestMs: { 'the run ended after': afterMs },
          }
        }),
    }
  },
}
