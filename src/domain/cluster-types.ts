/**
 * The cluster with every default filled in: a renderer has nothing left to decide. A key of the inventory that has no default and needs no
 * conversion keeps its name here, so that a new key of that kind changes nothing in this file. Types only.
 */
import type { GlobalDefs, Inventory, InventoryInstance, VrrpScript } from '../inventory/inventory.ts'
import type { Secret } from '../secret.ts'

export type Profile = 'classic' | 'fast'

export interface ClusterServer {
  readonly name: string
  readonly host: string
  /** 0 is the first in rank. */
  readonly rank: number
}

/** The folder that `packages: from` names. */
export interface PackageFolder {
  /** Absolute path. */
  readonly folder: string
  /** Names of the .deb files in it; undefined where it could not be read. */
  readonly files: readonly string[] | undefined
}

/** A PEM file with its private key, and its path on the servers. */
export interface Certificate {
  readonly path: string
  readonly text: string
}

/** Fractions of a second only where keepalived >= 2.3.2 runs (checked when rendering). */
export type CheckScript = VrrpScript & Required<Pick<VrrpScript, 'interval' | 'fall' | 'rise' | 'timeout' | 'weight'>>

/** The keys of an instance that keepalived.conf has as the inventory has them. */
export type InstanceSettings = Omit<
  InventoryInstance,
  | 'name'
  | 'interface'
  | 'virtual_router_id'
  | 'priority'
  | 'advert_int'
  | 'version'
  | 'authentication'
  | 'virtual_ipaddress'
  | 'nopreempt'
  | 'preempt_delay'
  | 'unicast_peer'
  | 'unicast_src_ip'
  | 'smtp_alert'
>

export interface VirtualAddress {
  readonly address: string
  readonly family: 4 | 6
  /** undefined where the inventory has no prefix: it is rendered without one, and keepalived takes /32. */
  readonly prefix: number | undefined
  /** As written in the inventory. */
  readonly text: string
}

export interface Instance {
  readonly name: string
  /** By server; undefined: it is found from the server's addresses. */
  readonly interface: Readonly<Record<string, string | undefined>>
  readonly virtualRouterId: number
  readonly priority: Readonly<Record<string, number>>
  readonly advertIntMs: number
  readonly version: 2 | 3
  readonly authentication: { readonly type: 'PASS' | 'AH'; readonly pass: Secret } | undefined
  readonly virtualAddresses: readonly VirtualAddress[]
  readonly nopreempt: boolean
  /** ms; 0 for none. */
  readonly preemptDelayMs: number
  /** 'all': every other server; 'none': multicast; a list: exactly these. */
  readonly unicastPeers: 'all' | 'none' | readonly string[]
  readonly unicastSrcIp: Readonly<Record<string, string | undefined>>
  readonly settings: InstanceSettings
  readonly smtpAlert: boolean
}

export interface Cluster {
  readonly name: string
  readonly profile: Profile
  /** keep: open connections survive a planned move, on servers that can do it (domain/open-connections). Always reset in classic. */
  readonly openConnections: 'keep' | 'reset'
  /** How long a stop of haproxy waits for open connections, where they are kept. */
  readonly stopTimeoutMs: number
  readonly servers: readonly ClusterServer[]
  readonly check: CheckScript
  readonly instances: readonly Instance[]
  readonly globalDefs: Omit<GlobalDefs, 'notification_email' | 'smtp_server'> & {
    readonly notificationEmail: readonly string[]
    readonly smtpServer: string | undefined
    readonly smtpPort: number | undefined
  }
  /** The whole haproxy.cfg, either the operator's file byte for byte or rendered from frontends and backends. */
  readonly haproxyConfig: { readonly text: string; readonly verbatim: boolean; readonly sourcePath: string | undefined }
  readonly certificates: readonly Certificate[]
  /** open: the servers' own packet filters let through what HAProxy and Keepalived need. */
  readonly firewall: 'check' | 'open'
  readonly packages: Omit<NonNullable<Inventory['packages']>, 'haproxy' | 'keepalived' | 'from' | 'mirrors' | 'unattended_upgrades'> & {
    /** Version, or its beginning and an asterisk, as apt-get takes it; undefined: apt's candidate. */
    readonly pins: Readonly<Record<'haproxy' | 'keepalived', string | undefined>>
    /** The folder on the operator's machine that holds the packages; undefined: the servers' own repositories. */
    readonly carried: PackageFolder | undefined
    /** The controller fetches what the servers' apt asks for, from the known archives and from these hosts; undefined: apt fetches it itself. */
    readonly fetched: { readonly mirrors: readonly string[] } | undefined
    /** True: unattended-upgrades may replace both packages whenever it runs. */
    readonly unattendedUpgrades: boolean
  }
  /** The probe that drills and gates send through each virtual address. */
  readonly probe: Omit<NonNullable<Inventory['probe']>, 'port' | 'path' | 'status' | 'tls' | 'host'> & {
    readonly port: number
    readonly kind: 'tcp' | 'http' | 'https'
    readonly path: string
    readonly status: number | undefined
    readonly host: string | undefined
  }
}
