/**
 * The inventory as its users write it (snake_case, keepalived.conf's and haproxy.cfg's own words), after parsing:
 * every value is valid by itself, nothing is filled in. schema.ts must produce exactly this shape.
 */
import type { SecretSource } from './secret-source.ts'

export interface SshSettings {
  readonly user?: string
  readonly port?: number
  readonly identity_file?: string
  readonly proxy_jump?: string
  readonly known_hosts?: string
  readonly host_key_checking?: 'strict' | 'accept-new'
}

export interface InventoryServer {
  readonly name: string
  readonly host: string
  readonly ssh?: SshSettings
  readonly become?: boolean
  readonly become_password?: SecretSource
}

export interface GlobalDefs {
  readonly notification_email?: readonly string[]
  readonly notification_email_from?: string
  /** Host or address, optionally followed by a port: "localhost", "192.0.2.25 2525". */
  readonly smtp_server?: string
  /** Seconds. */
  readonly smtp_connect_timeout?: number
  readonly router_id?: string
}

export interface VrrpScript {
  /** Seconds. */
  readonly interval?: number
  readonly fall?: number
  readonly rise?: number
  /** Seconds. */
  readonly timeout?: number
  /** -253..253; 0: a failed check is FAULT. */
  readonly weight?: number
}

export interface InventoryInstance {
  readonly name: string
  /** One name for all servers, or one per server. */
  readonly interface?: string | Readonly<Record<string, string>>
  readonly virtual_router_id: number
  /** By server name. */
  readonly priority?: Readonly<Record<string, number>>
  /** Seconds. */
  readonly advert_int?: number
  readonly version?: 2 | 3
  readonly authentication?: { readonly auth_type: 'PASS' | 'AH'; readonly auth_pass: SecretSource }
  readonly virtual_ipaddress: readonly string[]
  readonly nopreempt?: boolean
  /** Seconds. */
  readonly preempt_delay?: number
  /** true: all other servers' addresses on the VIP's interface; false: multicast; a list: exactly these. */
  readonly unicast_peer?: boolean | readonly string[]
  /** By server name; default: the server's address on the VIP's interface. */
  readonly unicast_src_ip?: Readonly<Record<string, string>>
  readonly garp_master_delay?: number
  readonly garp_master_repeat?: number
  readonly garp_master_refresh?: number
  readonly garp_master_refresh_repeat?: number
  readonly garp_lower_prio_delay?: number
  readonly garp_lower_prio_repeat?: number
  readonly smtp_alert?: boolean
}

export interface HaproxyFrontend {
  readonly name: string
  readonly bind: readonly string[]
  readonly mode?: 'http' | 'tcp'
  readonly default_backend?: string
  readonly option?: readonly string[]
  /** Any other lines of the section, haproxy.cfg's own syntax. */
  readonly lines?: readonly string[]
}

interface HaproxyBackendServer {
  readonly name: string
  readonly address: string
  readonly check?: boolean
  readonly weight?: number
  readonly backup?: boolean
  /** Any other words of the server line. */
  readonly options?: readonly string[]
}

export interface HaproxyBackend {
  readonly name: string
  readonly mode?: 'http' | 'tcp'
  readonly balance?: string
  readonly option?: readonly string[]
  readonly servers: readonly HaproxyBackendServer[]
  readonly lines?: readonly string[]
}

export interface InventoryHaproxy {
  /** Path of the operator's own haproxy.cfg, relative to the inventory's folder. Excludes all the rest. */
  readonly config?: string
  readonly global?: readonly string[]
  readonly defaults?: readonly string[]
  readonly frontends?: readonly HaproxyFrontend[]
  readonly backends?: readonly HaproxyBackend[]
}

interface InventoryProbe {
  readonly port?: number
  readonly path?: string
  readonly status?: number
  readonly tls?: boolean
  readonly host?: string
}

interface InventoryPackages {
  /** A version as apt has it, or its beginning and an asterisk. */
  readonly haproxy?: string
  readonly keepalived?: string
  /** "controller", or a folder with .deb files on the operator's machine, relative to the inventory's. */
  readonly from?: string
  /** HOST or HOST:PORT. */
  readonly mirrors?: readonly string[]
  readonly unattended_upgrades?: boolean
}

interface InventoryCertificate {
  /** Relative to the inventory's folder. */
  readonly file: string
  /** On the servers. */
  readonly path: string
}

export interface Inventory {
  readonly cluster?: string
  readonly profile?: 'classic' | 'fast'
  readonly ssh?: SshSettings
  readonly become?: boolean
  readonly become_password?: SecretSource
  readonly servers: readonly InventoryServer[]
  readonly global_defs?: GlobalDefs
  readonly vrrp_script?: VrrpScript
  readonly vrrp_instances: readonly InventoryInstance[]
  readonly haproxy: InventoryHaproxy
  readonly certificates?: readonly InventoryCertificate[]
  readonly packages?: InventoryPackages
  readonly firewall?: 'check' | 'open'
  readonly probe?: InventoryProbe
}

/** One thing wrong or doubtful in what the operator wrote. */
export interface Issue {
  /** "servers[1].host"; empty for the file as a whole. */
  readonly path: string
  readonly message: string
  /** "did you mean advert_int?", "set ... to ...". */
  readonly fix?: string
  /** 1-based; undefined where no place can be named. */
  readonly line?: number
  readonly column?: number
}
