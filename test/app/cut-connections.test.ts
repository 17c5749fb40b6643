/** A connection may die at any script: a run that fails ends with 4 or 5 exactly when no server was changed. Two folders are the servers. */
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
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
import type { Ports } from '../../src/ports.ts'
import { type World, wrongStatuses } from '../support/cuts.ts'
import { serverOf } from '../support/deployed.ts'
import { unlessLacking } from '../support/lacking.ts'
import { INVENTORY_PATH, memoryPorts, PACKAGE_ROOT } from '../support/memory-ports.ts'
import { type RememberedServers, rememberedServers } from '../support/remembered-servers.ts'
import { NO_WAIT } from '../support/open-said.ts'
import { haproxyCfg, INVENTORY, type ShellCluster, shellCluster } from '../support/shell-cluster.ts'
import { copyOf, shellServerLacks } from '../support/shell-server.ts'

// Hundreds of small processes, which on a busy machine take their time.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 })

const NAMES = ['srv-1', 'srv-2']
/** Paths that do not count as a change: caches of packages, and the mark by which an upgrade finds where it ended. */
const NO_STATE = /^var\/(cache\/apt|lib\/apt|lib\/hactl\/upgrading)/

interface Stage {
  readonly cluster: ShellCluster
  readonly servers: RememberedServers
  /** The time of everything. */
  readonly nowMs: number
}

type Run = (ports: Ports, cluster: ShellCluster) => Promise<unknown>

const input: ConnectOptions & { readonly inventoryPath: string } = { inventoryPath: INVENTORY_PATH, limit: [], forks: 8, timeoutMs: 1000 }
const confirm = async () => true
const quiet = () => {}

function twoServers(): ShellCluster {
  const cluster = shellCluster(NAMES)
  cluster.files.set('inventory.yml', INVENTORY.replace(/.*srv-3.*\n/, ''))
  return cluster
}

describe(
  'wherever a connection dies, 4 and 5 say that nothing was changed, and nothing else does',
  unlessLacking(shellServerLacks()),
  () => {
    const clusters: ShellCluster[] = []
    let bare: Stage
    let deployed: Stage
    let changedTwice: Stage
    let upgradable: Stage
    let locked: Stage
    const { randomBytes } = crypto
    const setRandom = (random: (size: number) => Buffer) => {
      Object.assign(crypto, { randomBytes: random })
      syncBuiltinESMExports()
    }
    beforeAll(async () => {
      // A script with another id than before would be another script.
      setRandom(size => Buffer.alloc(size, 1))
      const first = twoServers()
      const second = twoServers()
      await second.deploy()
      const [third, fourth, fifth] = [copyFrom(second), copyFrom(second), copyFrom(second)]
      clusters.push(first, second, third, fourth, fifth)
      third.files.set('haproxy.cfg', haproxyCfg('two'))
      await third.deploy()
      serverOf(fourth, 'srv-2').write('/world/apt-simulates', 'Inst haproxy [2.6.12-1] (2.6.12-2 Debian:12 [amd64])\n')
      for (const server of fifth.servers) server.write('/var/lib/hactl/lock/info', 'id other\nowner ops@laptop\nreason deploy\n')
      bare = stageOf(first)
      deployed = stageOf(second)
      changedTwice = stageOf(third)
      upgradable = stageOf(fourth)
      locked = stageOf(fifth)
    })
    afterAll(() => {
      setRandom(randomBytes)
      for (const cluster of clusters) cluster.remove()
    })

    const worldOf = (from: () => Stage, run: Run, haproxy: string | undefined) => (): World => {
      const { cluster, servers, nowMs } = from()
      const ports = cluster.newRun()
      const files = new Map([...cluster.files, ...(haproxy === undefined ? [] : [['haproxy.cfg', haproxy] as const])])
      const { remote, stateOf } = servers.start()
      return {
        ports: { ...ports, files: memoryPorts(files).files, clock: { ...ports.clock, now: () => nowMs }, remote },
        stateOf,
        run: given => run(given, cluster),
      }
    }

    test.for<[string, () => Stage, Run, number, string?]>([
      ['a first deploy', () => bare, (ports, cluster) => cluster.deploy({}, ports), 25],
      ['a deploy', () => deployed, (ports, cluster) => cluster.deploy({}, ports), 20, haproxyCfg('two')],
      [
        'a rollback',
        () => changedTwice,
        ports => rollback({ ...input, id: undefined, wait: NO_WAIT, confirm }, ports, quiet, PACKAGE_ROOT),
        20,
      ],
      ['an upgrade', () => upgradable, ports => upgrade({ ...input, wait: NO_WAIT, confirm }, ports, quiet, PACKAGE_ROOT), 20],
      ['a removal', () => deployed, ports => remove({ ...input, wait: NO_WAIT, confirm }, ports, quiet), 8],
      ['a removal of one server', () => deployed, ports => remove({ ...input, limit: ['srv-2'], wait: NO_WAIT, confirm }, ports, quiet), 4],
      ['an unlock', () => locked, ports => unlock({ ...input, force: true }, ports), 4],
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
    ])('%s', async ([, from, run, least, haproxy]) => {
      const { wrong, failed } = await wrongStatuses(worldOf(from, run, haproxy))
      expect(wrong).toEqual([])
      expect(failed).toBeGreaterThanOrEqual(least)
    })
  },
)

function stageOf(cluster: ShellCluster): Stage {
  const nowMs = Date.now()
  return { cluster, nowMs, servers: rememberedServers(cluster.servers, { noState: NO_STATE, nowMs }) }
}

function copyFrom(from: ShellCluster): ShellCluster {
  const next = shellCluster(NAMES)
  for (const server of from.servers) copyOf(server, next.folder)
  for (const [name, text] of from.files) next.files.set(name, text)
  return next
}
