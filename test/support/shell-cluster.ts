/** Three servers that are folders, and the ports through which hactl's own app functions deploy to them. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DeployInput, type DeployReport, deploy } from '../../src/app/deploy.ts'
import { loadCluster } from '../../src/app/load.ts'
import { observeAndTell } from '../../src/engine/operations/look.ts'
import { loadPlaybook } from '../../src/app/playbooks.ts'
import { planFor } from '../../src/engine/operations/prepare-plan.ts'
import { serviceTableFor } from '../../src/domain/service-scripts.ts'
import { prepareScript } from '../../src/engine/apply/prepare.ts'
import { restoreScript, switchScript } from '../../src/engine/apply/switch.ts'
import { createLedger } from '../../src/engine/ledger.ts'
import type { EngineEvent } from '../../src/engine/events.ts'
import type { PlanResult } from '../../src/engine/plan.ts'
import type { Clock, CommandResult, Ports, Script } from '../../src/ports.ts'
import type { ObservedNode } from '../../src/state/observed.ts'
import type { Action } from '../../src/state/plan.ts'
import type { ServiceTable } from '../../src/state/services.ts'
import { interrupted } from './clock.ts'
import { type Failure, failureOf } from './failure.ts'
import { INVENTORY_PATH, memoryPorts, PACKAGE_ROOT } from './memory-ports.ts'
import { NO_WAIT } from './open-said.ts'
import { unreachable } from './remote.ts'
import { bareServer, copyOf, type ShellServer } from './shell-server.ts'

export const INVENTORY = `
servers:
  - { name: srv-1, host: 192.0.2.11 }
  - { name: srv-2, host: 192.0.2.12 }
  - { name: srv-3, host: 192.0.2.13 }
vrrp_instances:
  - { name: VRRP1, virtual_router_id: 66, virtual_ipaddress: [192.0.2.200/24] }
haproxy:
  config: haproxy.cfg
`

/** A haproxy.cfg that differs from others by its comment. */
export function haproxyCfg(comment: string): string {
  return `# ${comment}\ndefaults\n    mode http\nfrontend web\n    bind :80\n    default_backend app\nbackend app\n    server app-1 192.0.2.111:80\n`
}

export interface ShellCluster {
  readonly folder: string
  readonly servers: readonly ShellServer[]
  readonly abort: AbortController
  readonly events: EngineEvent[]
  readonly ports: Ports
  /** The operator's files by name: inventory.yml, haproxy.cfg. */
  readonly files: Map<string, string>
  /** The ports of one run: its own ledger. */
  newRun(): Ports
  deploy(input?: Partial<DeployInput>, run?: Ports): Promise<DeployReport>
  /** What a deploy failed with. */
  failedDeploy(input?: Partial<DeployInput>): Promise<Failure>
  /** What there is to do on these servers, as they are now. */
  plan(servers?: readonly ShellServer[], options?: { readonly adopt: boolean; readonly reload: boolean }): Promise<PlanResult>
  /** The first half of a deploy by itself; the server holds the lock. */
  prepare(server: ShellServer, actions: readonly Action[]): Promise<CommandResult>
  switch(server: ShellServer, actions: readonly Action[]): Promise<CommandResult>
  restore(server: ShellServer): Promise<CommandResult>
  services(server: ShellServer): Promise<ServiceTable>
  /** All there is to do on one server, done: what is left of it is empty unless something refused. */
  settle(server: ShellServer): Promise<CommandResult>
  /** A copy of a server, to be changed by itself. */
  copy(server: ShellServer): ShellServer
  emptyFolder(): string
  remove(): void
}

/** The one run of hactl in tests that run its scripts one by one. */
export const RUN_ID = 'run1'
export const LOCK_ID = 'lock1'

export function shellCluster(names: readonly string[] = ['srv-1', 'srv-2', 'srv-3']): ShellCluster {
  // Thousands of small files are copied: in memory where there is such a place.
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'hactl-test-'))
  const servers = names.map((name, index) => bareServer(folder, name, index + 1))
  for (const server of servers) server.remembersLooks = true
  const abort = new AbortController()
  const events: EngineEvent[] = []
  const files = new Map([
    ['inventory.yml', INVENTORY],
    ['haproxy.cfg', haproxyCfg('one')],
  ])
  const runs = (server: ShellServer) => ['haproxy', 'keepalived'].every(unit => server.read(`/world/units/${unit}/active`) !== undefined)
  const ports = memoryPorts(files, {
    remote: {
      async connect(target) {
        const server = servers.find(({ name }) => name === target.server)
        if (server === undefined) throw unreachable(target.server)
        return { ...server.session }
      },
    },
    clock: eagerClock(),
    probe: async () => (servers.some(runs) ? { ok: true, tookMs: 1 } : { ok: false, tookMs: 1, error: 'ECONNREFUSED' }),
    signal: abort.signal,
  })
  const input: DeployInput = {
    inventoryPath: INVENTORY_PATH,
    limit: [],
    forks: 8,
    timeoutMs: 1000,
    adopt: false,
    reload: false,
    forget: [],
    wait: NO_WAIT,
    confirm: async () => true,
  }
  let folders = 0
  const emptyFolder = () => {
    const path = join(folder, `copy-${folders++}`)
    mkdirSync(path)
    return path
  }
  const run = (server: ShellServer, script: Script, label: string) =>
    server.session.run(script, { effect: 'none', label, deadlineMs: 10_000 })
  const services = async (server: ShellServer) => serviceTableFor((await loadCluster(input.inventoryPath, ports)).cluster, server.name)
  const self: ShellCluster = {
    folder,
    servers,
    abort,
    events,
    ports,
    files,
    newRun: () => ({ ...ports, ledger: createLedger() }),
    deploy: (more, run = self.newRun()) => deploy({ ...input, ...more }, run, event => events.push(event), PACKAGE_ROOT),
    failedDeploy: more => failureOf(self.newRun(), run => self.deploy(more, run)),
    async plan(some = servers, options = { adopt: false, reload: false }) {
      const loaded = await loadCluster(input.inventoryPath, ports)
      const playbook = await loadPlaybook('deploy', PACKAGE_ROOT, ports)
      const look = async ({ name, session }: ShellServer): Promise<readonly [string, ObservedNode]> => [
        name,
        await observeAndTell(session, loaded.cluster, { ports: { ...ports, signal: abort.signal }, onEvent: () => {} }),
      ]
      return planFor(loaded.cluster, playbook, new Map(await Promise.all(some.map(look))), options)
    },
    async prepare(server, actions) {
      server.write('/var/lib/hactl/lock/info', `id ${LOCK_ID}\n`)
      return run(server, prepareScript(RUN_ID, LOCK_ID, actions, false), 'prepare')
    },
    services,
    switch: async (server, actions) =>
      run(
        server,
        switchScript(RUN_ID, LOCK_ID, actions, { services: await services(server), waits: { patience: 1, stopMs: 0 } }),
        'switch',
      ),
    restore: async server =>
      run(
        server,
        restoreScript(
          RUN_ID,
          { id: LOCK_ID, owner: 'ops@laptop' },
          { services: await services(server), waits: { patience: 1, stopMs: 0 } },
        ),
        'restore',
      ),
    async settle(server) {
      const actions = (await self.plan([server])).plan.servers[0]?.actions ?? []
      const prepared = await self.prepare(server, actions)
      const result = prepared.code === 0 ? await self.switch(server, actions) : prepared
      if (result.code === 0) server.remove('/var/lib/hactl/runs')
      return result
    },
    copy: server => copyOf(server, emptyFolder()),
    emptyFolder,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
  return self
}

// Heartbeats sleep seconds and must wait for the end of the work; gates sleep a moment, which passes at once.
const HEARTBEAT_MS = 5000

function eagerClock(): Clock {
  let nowMs = 1_000_000
  return {
    // The servers have this machine's clock, and a bare one is compared with it.
    now: () => Date.now(),
    monotonic: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(interrupted())
        signal?.addEventListener('abort', () => reject(interrupted()), { once: true })
        if (ms >= HEARTBEAT_MS) return
        nowMs += ms
        setImmediate(resolve)
      }),
  }
}
