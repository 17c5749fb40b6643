import { forkMap, inOrderOf } from '../engine/fan-out.ts'
import { keepLedger } from '../engine/ledger.ts'
import { createLinks, type Links } from '../engine/links.ts'
import { asHactlError, HactlError } from '../errors.ts'
import type { Inventory, SshSettings } from '../inventory/inventory.ts'
import type { AskPassphrase, ConnectTarget, Ports, Session } from '../ports.ts'
import type { Secret } from '../secret.ts'
import type { LoadedCluster } from './load.ts'
import { pathFrom, secretOf } from './load.ts'

export interface ConnectOptions {
  /** Server names; empty for all. */
  readonly limit: readonly string[]
  /** How many servers are worked on at once. */
  readonly forks: number
  readonly timeoutMs: number
  readonly becomePassword?: Secret | undefined
  readonly askPassphrase?: AskPassphrase | undefined
  /** Called once the inventory and the names are found to be in order. Throws any other reason not to contact the servers. */
  readonly beforeConnecting?: (() => void) | undefined
}

/** The part of an inventory that says how to reach its servers. */
export interface Reachable extends Pick<LoadedCluster, 'baseDir' | 'path'> {
  readonly inventory: Pick<Inventory, 'servers' | 'ssh' | 'become' | 'become_password'>
  /** By server, where there is no inventory to correct: see ConnectTarget. */
  readonly given?: ReadonlyMap<string, NonNullable<ConnectTarget['given']>>
}

/** The servers that --limit leaves. Throws E_USAGE for a name the inventory does not have. */
export function limitedServers(loaded: Pick<Reachable, 'inventory' | 'path'>, limit: readonly string[]): readonly string[] {
  const names = loaded.inventory.servers.map(server => server.name)
  const unknown = limit.filter(name => !names.includes(name))
  if (unknown.length > 0) {
    throw new HactlError({
      code: 'E_USAGE',
      what: `--limit names ${unknown.join(', ')}, which ${loaded.path} does not have`,
      fix: `its servers are ${names.join(', ')}`,
    })
  }
  return limit.length === 0 ? names : names.filter(name => limit.includes(name))
}

/** How to reach each server: its own ssh settings over the common ones. `warn` gets what is doubtful about the inventory's secrets. */
export async function targetsOf(
  loaded: Reachable,
  options: ConnectOptions,
  ports: Ports,
  warn: (text: string) => void = () => {},
): Promise<ReadonlyMap<string, ConnectTarget>> {
  const { inventory, baseDir } = loaded
  const wanted = limitedServers(loaded, options.limit)
  options.beforeConnecting?.()
  const common: Secret | undefined =
    options.becomePassword ??
    (inventory.become_password === undefined
      ? undefined
      : await secretOf(inventory.become_password, 'become_password', baseDir, ports, warn))
  const targets = new Map<string, ConnectTarget>()
  for (const [index, server] of inventory.servers.entries()) {
    if (!wanted.includes(server.name)) continue
    const ssh: SshSettings = { ...inventory.ssh, ...server.ssh }
    const path = (value: string | undefined) => (value === undefined ? undefined : pathFrom(baseDir, value, ports.home))
    const own =
      options.becomePassword !== undefined || server.become_password === undefined
        ? undefined
        : await secretOf(server.become_password, `servers[${index}].become_password`, baseDir, ports, warn)
    targets.set(server.name, {
      server: server.name,
      host: server.host,
      user: ssh.user,
      port: ssh.port,
      identityFile: path(ssh.identity_file),
      proxyJump: ssh.proxy_jump,
      knownHosts: path(ssh.known_hosts),
      hostKeyChecking: ssh.host_key_checking ?? 'strict',
      become: server.become ?? inventory.become ?? true,
      becomePassword: own ?? common,
      askPassphrase: options.askPassphrase,
      inventoryPath: `servers[${index}]`,
      given: loaded.given?.get(server.name),
      connectTimeoutMs: options.timeoutMs,
    })
  }
  return targets
}

/** The servers that could be reached, and why the others could not. */
export interface Reached {
  /** All are closed at the end. */
  readonly links: Links
  readonly failures: readonly HactlError[]
}

export interface Connecting extends Pick<ConnectOptions, 'forks'> {
  readonly ports: Ports
  /** Called before each server is connected to. */
  readonly onConnecting?: (server: string) => void
}

/**
 * Connects to all servers of `targets`, calls `first` on each as soon as it is connected, then `work`. Closes every connection on every way
 * out.
 */
export async function withConnections<F, T>(
  targets: ReadonlyMap<string, ConnectTarget>,
  { forks, ports, onConnecting }: Connecting,
  first: (session: Session) => Promise<F>,
  work: (reached: Reached, results: ReadonlyMap<string, F>) => Promise<T>,
): Promise<T> {
  const open: Session[] = []
  const connect = async (target: ConnectTarget, signal: AbortSignal | undefined) => {
    const session = keepLedger(await ports.remote.connect(target, signal), ports.ledger)
    open.push(session)
    return session
  }
  const sessions = new Map<string, Session>()
  const results = new Map<string, F>()
  const failures: HactlError[] = []
  try {
    await forkMap([...targets.values()], forks, async target => {
      try {
        onConnecting?.(target.server)
        const session = await connect(target, ports.signal)
        sessions.set(target.server, session)
        results.set(target.server, await first(session))
      } catch (error) {
        failures.push(asHactlError(error))
      }
    })
    const links = createLinks([...inOrderOf(targets.keys(), sessions).values()], async server => {
      const target = targets.get(server)
      if (target === undefined) throw new HactlError({ code: 'E_INTERNAL', server, what: 'a server without a target was asked for' })
      // An undo reconnects, and the signal that made the undo necessary must not stop it.
      return connect(target, undefined)
    })
    return await work({ links, failures }, inOrderOf(targets.keys(), results))
  } finally {
    await Promise.allSettled(open.map(session => session.close()))
  }
}

/** withConnections to the servers of an inventory that --limit leaves. */
export async function withReachable<F, T>(
  loaded: Reachable,
  options: ConnectOptions,
  ports: Ports,
  first: (session: Session) => Promise<F>,
  work: (reached: Reached, results: ReadonlyMap<string, F>) => Promise<T>,
): Promise<T> {
  return withConnections(await targetsOf(loaded, options, ports), { forks: options.forks, ports }, first, work)
}
