/** Inventory -> Cluster: every default filled in, nothing left for a renderer to decide. */
import { HactlError } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { Inventory, InventoryInstance } from '../inventory/inventory.ts'
import { parseVirtualAddress } from './addresses.ts'
import type {
  Certificate,
  CheckScript,
  Cluster,
  ClusterServer,
  Instance,
  InstanceSettings,
  PackageFolder,
  Profile,
  VirtualAddress,
} from './cluster-types.ts'
import { renderHaproxyCfg } from './haproxy/config.ts'
import { readBinds } from './haproxy/read.ts'

/** Input of buildCluster that the inventory does not contain. */
export interface Resolved {
  /** The password of an instance that has `authentication`; undefined where secrets were not resolved (check, without a network). */
  readonly authPass: (instanceName: string) => Secret | undefined
  /** The operator's own haproxy.cfg, byte for byte. */
  readonly haproxyConfigText?: string | undefined
  readonly haproxyConfigPath?: string | undefined
  readonly certificates?: readonly Certificate[]
  readonly packageFolder?: PackageFolder | undefined
}

/**
 * classic: as in the article. fast: rise 1, because one pass is already four good answers, and where this server is the only one left
 * every further wait is an outage. timeout equals interval because in keepalived 2.1 to 2.3.1 runs that take longer than their interval
 * pile up (evidence K7). The script ends by itself before that.
 */
const CHECK: Readonly<Record<Profile, CheckScript>> = {
  classic: { interval: 2, fall: 2, rise: 2, timeout: 2, weight: 5 },
  fast: { interval: 1, fall: 1, rise: 1, timeout: 1, weight: 0 },
}

const OPEN_CONNECTIONS: Readonly<Record<Profile, Cluster['openConnections']>> = { classic: 'reset', fast: 'keep' }

/** Seconds: long enough for most downloads, short enough for a reboot that somebody waits for. */
const STOP_TIMEOUT = 20

const ADVERT_INT_MS: Readonly<Record<Profile, number>> = { classic: 1000, fast: 200 }

/**
 * fast: the second set of gratuitous ARPs comes after 1 s, not 5. A refresh twice a minute and an answer to any lower master correct
 * neighbours that learned the wrong MAC while two servers held the address (evidence V14).
 */
const FAST_GARP: InstanceSettings = {
  garp_master_delay: 1,
  garp_master_refresh: 30,
  garp_lower_prio_delay: 1,
  garp_lower_prio_repeat: 3,
}

/**
 * Priority of the server at this rank (0 is first) out of `count`.
 * classic: 100, 99, 98, ... fast: 254, 250, then evenly from 190 down to 2 at the lowest. A high priority makes the skew short. Wide
 * steps keep the second and third backup from taking over at the same time (evidence V15). 254 with an offset of -253 is below 2.
 */
export function defaultPriority(profile: Profile, rank: number, count: number): number {
  if (profile === 'classic') return Math.max(1, 100 - rank)
  if (rank < 2) return rank === 0 ? 254 : 250
  const step = Math.max(1, Math.min(60, Math.floor(188 / Math.max(1, count - 3))))
  return Math.max(2, 190 - step * (rank - 2))
}

/** Priorities by server: those in the inventory stay, the others get their rank's default or the next free number below it. */
function priorities(profile: Profile, servers: readonly ClusterServer[], given: Readonly<Record<string, number>>): Record<string, number> {
  const taken = new Set(Object.values(given))
  const result: Record<string, number> = {}
  for (const server of servers) {
    const own = given[server.name]
    if (own !== undefined) {
      result[server.name] = own
      continue
    }
    let value = defaultPriority(profile, server.rank, servers.length)
    while (taken.has(value) && value > 1) value--
    taken.add(value)
    result[server.name] = value
  }
  return result
}

function perServer(servers: readonly ClusterServer[], value: string | Readonly<Record<string, string>> | undefined) {
  return Object.fromEntries(servers.map(s => [s.name, typeof value === 'string' ? value : value?.[s.name]]))
}

function unicastPeers(given: InventoryInstance['unicast_peer'], profile: Profile): Instance['unicastPeers'] {
  if (given === undefined) return profile === 'fast' ? 'all' : 'none'
  if (typeof given === 'boolean') return given ? 'all' : 'none'
  return given
}

function virtualAddresses(texts: readonly string[], path: string): readonly VirtualAddress[] {
  return texts.map((text, i) => {
    const parsed = parseVirtualAddress(text)
    if (parsed !== undefined) return parsed
    throw new HactlError({
      code: 'E_INVENTORY_INVALID',
      what: `${path}.virtual_ipaddress[${i}]: "${text}" is not an address`,
      fix: 'write ADDRESS or ADDRESS/LENGTH, such as 192.0.2.200/24',
    })
  })
}

function buildInstance(
  instance: InventoryInstance,
  path: string,
  profile: Profile,
  servers: readonly ClusterServer[],
  inventory: Inventory,
  resolved: Resolved,
): Instance {
  const {
    name,
    interface: interfaces,
    virtual_router_id: virtualRouterId,
    priority,
    advert_int,
    version: givenVersion,
    authentication,
    virtual_ipaddress,
    nopreempt = false,
    preempt_delay = 0,
    unicast_peer,
    unicast_src_ip,
    smtp_alert,
    ...settings
  } = instance
  const addresses = virtualAddresses(virtual_ipaddress, path)
  const fast = profile === 'fast'
  const version = givenVersion ?? (fast || addresses.some(a => a.family === 6) ? 3 : 2)
  return {
    name,
    interface: perServer(servers, interfaces),
    virtualRouterId,
    priority: priorities(profile, servers, priority ?? {}),
    advertIntMs: advert_int === undefined ? (version === 3 ? ADVERT_INT_MS[profile] : 1000) : Math.round(advert_int * 1000),
    version,
    authentication:
      authentication === undefined ? undefined : { type: authentication.auth_type, pass: resolved.authPass(name) ?? new Secret('') },
    virtualAddresses: addresses,
    nopreempt,
    preemptDelayMs: Math.round(preempt_delay * 1000),
    unicastPeers: unicastPeers(unicast_peer, profile),
    unicastSrcIp: perServer(servers, unicast_src_ip),
    settings: { ...(fast ? FAST_GARP : {}), ...settings },
    smtpAlert: smtp_alert ?? (inventory.global_defs?.notification_email ?? []).length > 0,
  }
}

/** keepalived waits for DNS while it starts or reloads, so that two servers hold the address (evidence K11): localhost by number. */
function smtpServer(text: string | undefined): { server: string | undefined; port: number | undefined } {
  if (text === undefined) return { server: undefined, port: undefined }
  const [host = '', port] = text.trim().split(/\s+/)
  return { server: host === 'localhost' ? '127.0.0.1' : host, port: port === undefined ? undefined : Number(port) }
}

function buildProbe(inventory: Inventory, haproxyText: string): Cluster['probe'] {
  const { port: givenPort, path, status, tls: givenTls, host, ...settings } = inventory.probe ?? {}
  const bind = readBinds(haproxyText).find(b => !b.loopback && (givenPort === undefined || b.port === givenPort))
  const port = givenPort ?? bind?.port
  if (port === undefined) {
    throw new HactlError({
      code: 'E_INVENTORY_INVALID',
      what: 'probe: no bind in the haproxy configuration listens on an address that clients could reach',
      why: ['drills and gates need a port to ask through the virtual address'],
      fix: 'add a bind to a frontend, or set probe.port in the inventory',
    })
  }
  // path, status and host mean nothing to TCP: whoever set one of them meant an HTTP probe.
  const http = bind?.mode === 'http' || path !== undefined || status !== undefined || host !== undefined || givenTls === true
  const tls = givenTls ?? bind?.ssl ?? false
  return { ...settings, port, kind: http ? (tls ? 'https' : 'http') : 'tcp', path: path ?? '/', status, host }
}

/**
 * The cluster that an inventory describes. The inventory has passed its own rules already.
 * Throws E_INVENTORY_INVALID for what only this step can see: a `config:` file without anything to probe, or one that was not read.
 */
export function buildCluster(inventory: Inventory, resolved: Resolved): Cluster {
  const profile = inventory.profile ?? 'fast'
  const servers = inventory.servers.map((s, rank) => ({ name: s.name, host: s.host, rank }))
  const verbatim = inventory.haproxy.config !== undefined
  if (verbatim && resolved.haproxyConfigText === undefined) {
    throw new HactlError({
      code: 'E_INVENTORY_INVALID',
      what: `haproxy.config: ${inventory.haproxy.config} was not read`,
      fix: 'name an existing file, relative to the inventory',
    })
  }
  const text = resolved.haproxyConfigText ?? renderHaproxyCfg(inventory.haproxy)
  const { notification_email: notificationEmail = [], smtp_server, ...globalDefs } = inventory.global_defs ?? {}
  const smtp = smtpServer(smtp_server)
  const { haproxy, keepalived, from, mirrors = [], unattended_upgrades: unattendedUpgrades = false, ...packages } = inventory.packages ?? {}
  const check = { ...CHECK[profile], ...inventory.vrrp_script }
  return {
    name: inventory.cluster ?? 'hactl',
    profile,
    openConnections: inventory.open_connections ?? OPEN_CONNECTIONS[profile],
    stopTimeoutMs: Math.round((inventory.stop_timeout ?? STOP_TIMEOUT) * 1000),
    servers,
    // An interval without a timeout also bounds the run: runs that take longer than their interval pile up.
    check: inventory.vrrp_script?.timeout === undefined ? { ...check, timeout: check.interval } : check,
    instances: inventory.vrrp_instances.map((instance, i) =>
      buildInstance(instance, `vrrp_instances[${i}]`, profile, servers, inventory, resolved),
    ),
    globalDefs: { ...globalDefs, notificationEmail, smtpServer: smtp.server, smtpPort: smtp.port },
    haproxyConfig: { text, verbatim, sourcePath: verbatim ? resolved.haproxyConfigPath : undefined },
    certificates: resolved.certificates ?? [],
    firewall: inventory.firewall ?? 'check',
    packages: {
      ...packages,
      pins: { haproxy, keepalived },
      carried: resolved.packageFolder,
      fetched: from === 'controller' ? { mirrors } : undefined,
      unattendedUpgrades,
    },
    probe: buildProbe(inventory, text),
  }
}
