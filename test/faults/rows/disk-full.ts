/** The disk of a server is full, or becomes so in the middle of a roll-out. */
import { resultOf } from '../../e2e/support/hactl.ts'
import { SERVERS } from '../../e2e/support/lab.ts'
import { aroundPoller } from '../around.ts'
import { finish, isHung, liveConfig, nextConfig, startDeploy, told, wounds } from '../cluster.ts'
import type { Row, World } from '../row.ts'

const FOLDERS = ['/var/lib/hactl', '/etc/haproxy', '/etc/keepalived'] as const
const FILLER = '.faults-filler'
const DEADLINE_MS = 60_000
/** Blocks of 4 KiB that are left: what a roll-out writes into one of these folders takes fewer than 100. */
const MOST_BLOCKS = 12

/** A unit may have a view of the mounts of its own, from its start on. */
async function restart(world: World): Promise<void> {
  for (const server of SERVERS) await world.lab.sh(server, 'systemctl restart haproxy && systemctl restart keepalived')
}

/** Small file systems over the folders that hactl writes to, on every server, with their present files. */
async function mountSmall(world: World): Promise<void> {
  for (const folder of FOLDERS)
    await world.lab.everywhere(
      `mkdir -p /run/faults && rm -rf /run/faults/copy && cp -a ${folder} /run/faults/copy && mount -t tmpfs -o size=8m,mode=$(stat -c %a ${folder}) tmpfs ${folder} && cp -a /run/faults/copy/. ${folder}/ && rm -rf /run/faults/copy`,
    )
}

async function unmount(world: World): Promise<void> {
  for (const folder of FOLDERS)
    await world.lab.everywhere(
      `rm -rf /run/faults/copy; cp -a ${folder} /run/faults/copy && umount -l ${folder} && find ${folder} -mindepth 1 -delete; cp -a /run/faults/copy/. ${folder}/ && rm -rf /run/faults/copy`,
    )
}

/** Leaves so many blocks free. */
function fill(world: World, server: string, folder: string, blocks: number): Promise<string> {
  return world.lab.sh(
    server,
    `cat /dev/zero >${folder}/${FILLER} 2>/dev/null; truncate -s -$((${blocks} * 4096)) ${folder}/${FILLER}; df -k --output=avail ${folder} | tail -n 1`,
  )
}

export const diskFull: Row = {
  name: 'disk-full',
  title: 'the disk of a server is full, or becomes so in the middle',
  times: 20,
  open: async world => {
    await mountSmall(world)
    await restart(world)
    return {
      attempt: () =>
        aroundPoller(world, async () => {
          const before = liveConfig()
          const config = nextConfig()
          const server = world.random.pick(['srv-1', 'srv-2', 'srv-3'])
          const folder = world.random.pick(FOLDERS)
          // From no free block to just enough: the disk gets full at every file in turn.
          const blocks = world.random.int(MOST_BLOCKS)
          await fill(world, server, folder, blocks)
          const startedMs = performance.now()
          const run = await startDeploy(world, config).ended
          const tookMs = performance.now() - startedMs
          const first = await wounds(world, [before, config])
          const odd: string[] = []
          if (![0, 4, 5, 6].includes(run.exit) && !isHung(run)) odd.push(told(run))
          if (run.exit !== 0 && !isHung(run) && !/disk|space/i.test(told(run) + (resultOf(run).fix ?? '')))
            odd.push(`it does not say that the disk is full: ${told(run)} (${server} ${folder}, ${blocks} blocks)`)
          await world.lab.sh(server, `rm -f ${folder}/${FILLER}`)
          const rest = await finish(world, config, undefined)
          const late = tookMs > DEADLINE_MS ? [`the run took ${Math.round(tookMs / 1000)} s`] : []
          return {
            broken: [...odd, ...first, ...rest.broken],
            hung: [...(isHung(run) ? [`${server} ${folder}: ${told(run)}`] : late), ...rest.hung],
            counts: { [run.exit === 0 ? 'just enough room' : `exit ${run.exit}`]: 1 },
          }
        }),
      close: async () => {
        for (const server of SERVERS) for (const folder of FOLDERS) await world.lab.trySh(server, `rm -f ${folder}/${FILLER}`)
        await unmount(world)
        await restart(world)
      },
    }
  },
}
