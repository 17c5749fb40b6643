/** What must be refused before anything is touched: wrong host keys, wrong keys and passwords, a lock that another run holds. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Json, resultOf, type Run } from '../../e2e/support/hactl.ts'
import { local, SERVERS } from '../../e2e/support/lab.ts'
import { liveFiles, services } from '../../e2e/support/servers.ts'
import { aroundPoller } from '../around.ts'
import { finish, inventoryOf, isHung, liveConfig, nextConfig, startDeploy, told, wounds } from '../cluster.ts'
import type { Row, World } from '../row.ts'

/** None of these runs should wait: a run that takes this long does. */
const DEADLINE_MS = 30_000
const PORT = 2222
const PASSWORD = 'not-the-sudo-password'

type Name = (typeof SERVERS)[number]

const keysOf = (world: World, server: string) =>
  readFileSync(world.lab.known_hosts, 'utf8')
    .split('\n')
    .filter(line => line.startsWith(`${world.lab.host(server)} `))

/** known_hosts in which `victim` has the keys of another server: it is not who it was. */
function swapped(world: World, victim: Name, nameOf: (server: Name) => string): string {
  const other = SERVERS.find(server => server !== victim) ?? victim
  const lines = SERVERS.flatMap(server =>
    keysOf(world, server === victim ? other : server).map(line => line.replace(/^\S+/, nameOf(server))),
  )
  return `${lines.join('\n')}\n`
}

const sshOf = (world: World, over: Json): Json => ({
  ssh: { user: 'root', identity_file: world.lab.key, known_hosts: world.lab.known_hosts, ...over },
})

/** Runs a command that must be refused with this code, and compares the live files of the servers with those before. */
async function refusal(world: World, over: Json, code: string, exit: number, forbidden?: string) {
  const { lab, work } = world
  work.writeInventory(inventoryOf(world, nextConfig(), over))
  const words = world.random.pick([
    ['deploy', '--yes'],
    ['plan'],
    ['history'],
    ['unlock', '--force'],
    ['verify-failover', '--yes'],
    ['drain', 'srv-2', '--yes'],
  ])
  const before = [await liveFiles(lab), await services(lab)].flat()
  const startedMs = performance.now()
  const run: Run = await work.hactl([...words, '--json'], { limitMs: DEADLINE_MS })
  const tookMs = performance.now() - startedMs
  const broken: string[] = []
  const after = [await liveFiles(lab), await services(lab)].flat()
  if (after.join() !== before.join()) broken.push(`${words[0]}: the servers were changed`)
  if (!isHung(run)) {
    const { code: seen, fix } = resultOf(run)
    if (run.exit !== exit || seen !== code || fix === undefined) broken.push(`${words[0]}: not ${code}: ${told(run)}`)
    if (forbidden !== undefined && `${run.stdout}${run.stderr}`.includes(forbidden)) broken.push(`${words[0]} tells the password`)
  }
  return {
    broken: [...broken, ...(await wounds(world, [liveConfig()]))],
    hung: isHung(run) ? [`${words[0]}: ${told(run)}`] : [],
    longestMs: { 'refused within': tookMs },
  }
}

const pickServer = (world: World): Name => world.random.pick(['srv-1', 'srv-2', 'srv-3'])

export const hostKeyPlain: Row = {
  name: 'host-key',
  title: 'the host key of a server has changed (known_hosts plain)',
  times: 10,
  open: async world => ({
    attempt: () =>
      aroundPoller(world, () => {
        const file = world.work.write(
          'known',
          swapped(world, pickServer(world), server => world.lab.host(server)),
        )
        return refusal(world, sshOf(world, { known_hosts: file }), 'E_SSH_HOST_KEY', 4)
      }),
  }),
}

export const hostKeyHashed: Row = {
  name: 'host-key-hashed',
  title: 'the same, known_hosts hashed',
  times: 10,
  open: async world => ({
    attempt: () =>
      aroundPoller(world, async () => {
        const file = world.work.write(
          'known',
          swapped(world, pickServer(world), server => world.lab.host(server)),
        )
        await local('ssh-keygen', ['-q', '-H', '-f', file])
        return refusal(world, sshOf(world, { known_hosts: file }), 'E_SSH_HOST_KEY', 4)
      }),
  }),
}

export const hostKeyPort: Row = {
  name: 'host-key-port',
  title: 'the same, sshd on another port ([host]:port in known_hosts)',
  times: 10,
  open: async world => {
    const sshd = 'mkdir -p /run/sshd; ss -Hltn sport = :2222 | grep -q . || /usr/sbin/sshd -p 2222 -o PidFile=/run/sshd-faults.pid'
    await world.lab.everywhere(sshd)
    return {
      attempt: () =>
        aroundPoller(world, () => {
          const file = world.work.write(
            'known',
            swapped(world, pickServer(world), server => `[${world.lab.host(server)}]:${PORT}`),
          )
          return refusal(world, sshOf(world, { known_hosts: file, port: PORT }), 'E_SSH_HOST_KEY', 4)
        }),
      close: async () => {
        await world.lab.everywhere('kill $(cat /run/sshd-faults.pid); rm -f /run/sshd-faults.pid')
      },
    }
  },
}

export const wrongKey: Row = {
  name: 'ssh-key',
  title: 'the SSH key is not the right one',
  times: 10,
  open: async world => {
    const key = join(world.work.dir, 'other_key')
    // It would ask whether to overwrite the one of an earlier round.
    if (!existsSync(key)) await local('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    return {
      attempt: () => aroundPoller(world, () => refusal(world, sshOf(world, { identity_file: key }), 'E_SSH_AUTH', 4)),
    }
  },
}

export const wrongSudo: Row = {
  name: 'sudo-password',
  title: 'the sudo password is wrong',
  times: 10,
  open: async world => {
    const file = world.work.write('password', `${PASSWORD}\n`)
    return {
      attempt: () =>
        aroundPoller(world, () =>
          refusal(world, { ...sshOf(world, { user: 'deploy' }), become_password: { file } }, 'E_SUDO', 4, PASSWORD),
        ),
    }
  },
}

export const lockHeld: Row = {
  name: 'lock',
  title: 'another run holds the lock',
  times: 10,
  open: async world => ({
    attempt: () =>
      aroundPoller(world, async () => {
        const config = nextConfig()
        const first = startDeploy(world, config)
        await first.line('the lock', line => line.event === 'lock-taken')
        const startedMs = performance.now()
        const second = await world.work.hactl(['deploy', '--yes', '--json'], { limitMs: DEADLINE_MS })
        const tookMs = performance.now() - startedMs
        const broken: string[] = []
        if (!isHung(second) && (second.exit !== 5 || resultOf(second).code !== 'E_LOCKED')) broken.push(`the second: ${told(second)}`)
        const ended = await first.ended
        if (ended.exit !== 0) broken.push(`the first: ${told(ended)}`)
        const rest = await finish(world, config, performance.now())
        return {
          broken: [...broken, ...rest.broken],
          hung: [...[ended, second].filter(isHung).map(told), ...rest.hung],
          longestMs: { 'refused within': tookMs },
        }
      }),
  }),
}
