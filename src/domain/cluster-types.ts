/** The cluster with every default filled in: nothing optional is left that a renderer would have to decide. Types only. */
import type { Secret } from '../secret.ts'

export type Profile = 'classic' | 'fast'

export interface ClusterServer {
  readonly name: string
  readonly host: string
  /** 0 is the first in rank. */
  readonly rank: number
}

/** What `packages: from` names. */
export interface PackageFolder {
  /** Absolute path. */
  readonly folder: string
  /** Names of the .deb files in it; undefined where it could not be read. */
  readonly files: readonly string[] | undefined
}

/** A PEM file with its private key, and where it stands on the servers. */
export interface Certificate {
  readonly path: string
  readonly text: string
}

export interface CheckScript {
  /** Seconds; fractions only where keepalived >= 2.3.2 runs (checked when rendering). */
  readonly interval: number
  readonly fall: number
  readonly rise: number
  readonly timeout: number
  /** 0: a failed check is FAULT. */
  readonly weight: number
}

export interface VirtualAddress {
  readonly address: string
  readonly family: 4 | 6
  /** undefined where the inventory gives none: rendered without, keepalived takes /32. */
  readonly prefix: number | undefined
  /** As written in the inventory. */
  readonly text: string
}

export interface Instance {
  readonly name: string
  /** By server; undefined: found from the server's addresses. */
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
  readonly garp: Readonly<
    Partial<
      Record<
        | 'garp_master_delay'
        | 'garp_master_repeat'
        | 'garp_master_refresh'
        | 'garp_master_refresh_repeat'
        | 'garp_lower_prio_delay'
        | 'garp_lower_prio_repeat',
        number
      >
    >
  >
  readonly smtpAlert: boolean
}

export interface Cluster {
  readonly name: string
  readonly profile: Profile
  readonly servers: readonly ClusterServer[]
  readonly check: CheckScript
  readonly instances: readonly Instance[]
  readonly globalDefs: {
    readonly notificationEmail: readonly string[]
    readonly notificationEmailFrom: string | undefined
    readonly smtpServer: string | undefined
    readonly smtpPort: number | undefined
    readonly smtpConnectTimeout: number | undefined
    readonly routerId: string | undefined
  }
  /** The whole haproxy.cfg, either the operator's file byte for byte or rendered from frontends and backends. */
  readonly haproxyConfig: { readonly text: string; readonly verbatim: boolean; readonly sourcePath: string | undefined }
  readonly certificates: readonly Certificate[]
  /** open: what HAProxy and Keepalived need is let through the servers' own packet filters. */
  readonly firewall: 'check' | 'open'
  readonly packages: {
    /** Version, or its beginning and an asterisk, as apt-get takes it; undefined: apt's candidate. */
    readonly pins: Readonly<Record<'haproxy' | 'keepalived', string | undefined>>
    /** The folder on the operator's machine that holds the packages; undefined: the servers' own repositories. */
    readonly carried: PackageFolder | undefined
    /** The controller fetches what the servers' apt asks for, from the known archives and from these hosts; undefined: they fetch it. */
    readonly fetched: { readonly mirrors: readonly string[] } | undefined
    /** True: unattended-upgrades may replace both packages whenever it runs. */
    readonly unattendedUpgrades: boolean
  }
  /** What drills and gates ask through each virtual address. */
  readonly probe: {
    readonly port: number
    readonly kind: 'tcp' | 'http' | 'https'
    readonly path: string
    readonly status: number | undefined
    readonly host: string | undefined
  }
}
