/** Three servers that are folders, and the ports through which hactl's own app functions deploy to them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DeployInput, type DeployReport, deploy } from '../../src/app/deploy.ts'
import { loadCluster } from '../../src/app/load.ts'
import { observeAndTell } from '../../src/app/observe-cluster.ts'
import { loadPlaybook } from '../../src/app/playbooks.ts'
import { planFor } from '../../src/app/prepare-plan.ts'
import type { EngineEvent } from '../../src/engine/events.ts'
import type { PlanResult } from '../../src/engine/plan.ts'
import type { Clock, Ports } from '../../src/ports.ts'
import type { ObservedNode } from '../../src/state.ts'
import { interrupted } from './clock.ts'
import { unreachable } from './remote.ts'
import { bareServer, type ShellServer } from './shell-server.ts'

export const PACKAGE_ROOT = join(import.meta.dirname, '../..')

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
  deploy(input?: Partial<DeployInput>): Promise<DeployReport>
  /** What there is to do on these servers, as they are now. */
  plan(servers?: readonly ShellServer[], options?: { readonly adopt: boolean; readonly reload: boolean }): Promise<PlanResult>
  remove(): void
}

export function shellCluster(names: readonly string[] = ['srv-1', 'srv-2', 'srv-3']): ShellCluster {
  const folder = mkdtempSync(join(tmpdir(), 'hactl-test-'))
  const servers = names.map((name, index) => bareServer(folder, name, index + 1))
  const abort = new AbortController()
  const events: EngineEvent[] = []
  const files = new Map([
    ['inventory.yml', INVENTORY],
    ['haproxy.cfg', haproxyCfg('one')],
  ])
  const runs = (server: ShellServer) => ['haproxy', 'keepalived'].every(unit => server.read(`/world/units/${unit}/active`) !== undefined)
  const ports: Ports = {
    remote: {
      async connect(target) {
        const server = servers.find(({ name }) => name === target.server)
        if (server === undefined) throw unreachable(target.server)
        return { ...server.session }
      },
    },
    clock: eagerClock(),
    files: {
      async read(path) {
        const own = path.startsWith('/inventory/') ? files.get(path.slice('/inventory/'.length)) : readFileSync(path, 'utf8')
        return own === undefined ? undefined : Buffer.from(own)
      },
      write: () => Promise.reject(new Error('nothing is written here')),
      exists: async path => files.has(path.slice('/inventory/'.length)),
    },
    probe: async () => (servers.some(runs) ? { ok: true, tookMs: 1 } : { ok: false, tookMs: 1, error: 'ECONNREFUSED' }),
    localCommand: () => Promise.reject(new Error('no local command is expected')),
    terminal: { stdinIsTTY: false, stdoutIsTTY: false, stderrIsTTY: false, columns: 80, writeOut: () => {}, writeErr: () => {} },
    env: { USER: 'ops' },
    cwd: '/inventory',
    home: '/home/ops',
    signal: abort.signal,
  }
  const input: DeployInput = {
    inventoryPath: '/inventory/inventory.yml',
    limit: [],
    forks: 8,
    timeoutMs: 1000,
    adopt: false,
    reload: false,
    confirm: async () => true,
  }
  return {
    folder,
    servers,
    abort,
    events,
    ports,
    files,
    deploy: more => deploy({ ...input, ...more }, ports, event => events.push(event), PACKAGE_ROOT),
    async plan(some = servers, options = { adopt: false, reload: false }) {
      const loaded = await loadCluster(input.inventoryPath, ports)
      const playbook = await loadPlaybook('deploy', PACKAGE_ROOT, ports)
      const look = async ({ name, session }: ShellServer): Promise<readonly [string, ObservedNode]> => [
        name,
        await observeAndTell(session, loaded.cluster, ports.clock, () => {}, abort.signal),
      ]
      return planFor(loaded, playbook, new Map(await Promise.all(some.map(look))), options)
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

// Heartbeats sleep seconds and must wait for the end of the work; gates sleep a moment, which passes at once.
const HEARTBEAT_MS = 5000

function eagerClock(): Clock {
  let nowMs = 1_000_000
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(interrupted(signal))
        signal?.addEventListener('abort', () => reject(interrupted(signal)), { once: true })
        if (ms >= HEARTBEAT_MS) return
        nowMs += ms
        setImmediate(resolve)
      }),
  }
}
