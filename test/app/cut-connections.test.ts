/** Whichever connection dies at whichever script: a run that fails ends with 4 or 5 exactly when no server was changed. On two folders for servers. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { checkServers } from '../../src/app/check-servers.ts'
import type { ConnectOptions } from '../../src/app/connect.ts'
import { history } from '../../src/app/history.ts'
import { importServers } from '../../src/app/import.ts'
import { plan } from '../../src/app/plan.ts'
import { remove } from '../../src/app/remove.ts'
import { rollback } from '../../src/app/rollback.ts'
import { unlock } from '../../src/app/unlock.ts'
import { upgrade } from '../../src/app/upgrade.ts'
import type { Ports, Session } from '../../src/ports.ts'
import { type World, wrongStatuses } from '../support/cuts.ts'
import { serverOf } from '../support/deployed.ts'
import { unlessLacking } from '../support/lacking.ts'
import { INVENTORY_PATH, PACKAGE_ROOT } from '../support/memory-ports.ts'
import { haproxyCfg, INVENTORY, type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { copyOf, fingerprint, type ShellServer, shellServerLacks } from '../support/shell-server.ts'

// Thousands of small processes: a minute on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 })

const NAMES = ['srv-1', 'srv-2']
/** What counts for nothing: caches of packages, and the mark by which an upgrade finds where it ended. */
const NO_STATE = /^var\/(cache\/apt|lib\/apt|lib\/hactl\/upgrading)/

type Run = (ports: Ports, cluster: ShellCluster) => Promise<unknown>

const input: ConnectOptions & { readonly inventoryPath: string } = { inventoryPath: INVENTORY_PATH, limit: [], forks: 8, timeoutMs: 1000 }
const confirm = async () => true
const quiet = () => {}

/**
 * The look at a server is most of the time of all these runs, and is the same wherever the server is the same, but for the time: each is
 * taken once.
 */
const looks = new Map<string, string>()

function rememberingLooks(server: ShellServer, stateOf: (server: string) => string): Session {
  const { session } = server
  return {
    ...session,
    async run(script, options) {
      if (options.label !== 'read the facts of this server') return session.run(script, options)
      const isLocked = server.read('/var/lib/hactl/lock/info') !== undefined
      const key = [server.name, stateOf(server.name), isLocked, script.raw].join('\n')
      const known = looks.get(key)
      if (known !== undefined) {
        const now = Date.now()
        const clock = `clock ${Math.floor(now / 1000)} ${(now % 1000) * 1_000_000}`
        return { code: 0, stdout: known.replace(/^clock \d+ \d+$/m, clock), stderr: '', durationMs: 1 }
      }
      const result = await session.run(script, options)
      looks.set(key, result.stdout)
      return result
    },
  }
}

/** The state of a server by its name: taken again only where a script ran there since. */
function statesOf(cluster: ShellCluster): (server: string) => string {
  const taken = new Map<string, { readonly ran: number; readonly state: string }>()
  return name => {
    const { root, ran } = serverOf(cluster, name)
    const last = taken.get(name)
    if (last?.ran === ran.length) return last.state
    const state = fingerprint(root, NO_STATE)
    taken.set(name, { ran: ran.length, state })
    return state
  }
}

function twoServers(): ShellCluster {
  const cluster = shellCluster(NAMES)
  cluster.files.set('inventory.yml', INVENTORY.replace(/.*srv-3.*\n/, ''))
  return cluster
}

describe(
  'wherever a connection dies, 4 and 5 say that nothing was changed, and nothing else does',
  unlessLacking(shellServerLacks()),
  () => {
    let bare: ShellCluster
    let deployed: ShellCluster
    let changedTwice: ShellCluster
    beforeAll(async () => {
      bare = twoServers()
      deployed = twoServers()
      await deployed.deploy()
      changedTwice = copyFrom(deployed)
      changedTwice.files.set('haproxy.cfg', haproxyCfg('two'))
      await changedTwice.deploy()
    })
    afterAll(() => {
      for (const cluster of [bare, deployed, changedTwice]) cluster.remove()
    })

    const worldOf = (from: () => ShellCluster, run: Run, differ: (cluster: ShellCluster) => void) => (): World => {
      const cluster = copyFrom(from())
      differ(cluster)
      const stateOf = statesOf(cluster)
      return {
        ports: { ...cluster.newRun(), remote: { connect: async ({ server }) => rememberingLooks(serverOf(cluster, server), stateOf) } },
        stateOf,
        run: ports => run(ports, cluster),
        remove: () => cluster.remove(),
      }
    }

    test.for<[string, () => ShellCluster, Run, number, ((cluster: ShellCluster) => void)?]>([
      ['a first deploy', () => bare, (ports, cluster) => cluster.deploy({}, ports), 25],
      ['a deploy', () => deployed, (ports, cluster) => cluster.deploy({}, ports), 20, c => c.files.set('haproxy.cfg', haproxyCfg('two'))],
      ['a rollback', () => changedTwice, ports => rollback({ ...input, id: undefined, confirm }, ports, quiet, PACKAGE_ROOT), 20],
      [
        'an upgrade',
        () => deployed,
        ports => upgrade({ ...input, confirm }, ports, quiet, PACKAGE_ROOT),
        20,
        cluster => serverOf(cluster, 'srv-2').write('/world/apt-simulates', 'Inst haproxy [2.6.12-1] (2.6.12-2 Debian:12 [amd64])\n'),
      ],
      ['a removal', () => deployed, ports => remove({ ...input, confirm }, ports, quiet), 8],
      ['a removal of one server', () => deployed, ports => remove({ ...input, limit: ['srv-2'], confirm }, ports, quiet), 4],
      [
        'an unlock',
        () => deployed,
        ports => unlock({ ...input, force: true }, ports),
        4,
        c => c.servers.forEach(server => server.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')),
      ],
      ['a plan', () => deployed, ports => plan(input, ports, quiet, PACKAGE_ROOT), 2],
      ['a check of servers', () => bare, ports => checkServers(input, ports, quiet), 4],
      ['a history', () => deployed, ports => history(input, ports), 2],
      [
        'an import',
        () => deployed,
        ports =>
          importServers(
            {
              ...input,
              servers: NAMES.map(name => ({ name, host: `${name}.example.com`, user: undefined, port: undefined })),
              output: INVENTORY_PATH,
              sshUser: undefined,
              identityFile: undefined,
              knownHosts: undefined,
            },
            ports,
            quiet,
          ),
        2,
      ],
    ])('%s', async ([, from, run, least, differ = () => {}]) => {
      const { wrong, failed } = await wrongStatuses(worldOf(from, run, differ))
      expect(wrong).toEqual([])
      expect(failed).toBeGreaterThanOrEqual(least)
    })
  },
)

function copyFrom(from: ShellCluster): ShellCluster {
  const next = shellCluster(NAMES)
  for (const server of from.servers) copyOf(server, next.folder)
  for (const [name, text] of from.files) next.files.set(name, text)
  return next
}
