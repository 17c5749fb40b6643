/** What a look at a server says of open connections and of the service that keeps them when an address moves. Types only. */

export interface ObservedOpenConnections {
  /** Whether its kernel and its nft can do it; installable: the package nftables is missing. `why`: to follow the server's name. */
  readonly ability: { readonly kind: 'able' } | { readonly kind: 'installable' } | { readonly kind: 'unable'; readonly why: string }
  /** undefined where its program is not there. */
  readonly service?: OpenConnectionsService
  /** Files that load the packet filter at boot and contain the service's own tables: they cannot be loaded while it runs. */
  readonly savedIn: readonly string[]
}

export interface OpenConnectionsService {
  /** Whether systemd has started it. */
  readonly isRunning: boolean
  /** Files of the service were written after it had loaded them. */
  readonly isOutdated: boolean
  /** It was started or reloaded within the last 6 s: it may not know its peers yet. */
  readonly isFresh?: boolean
  /** Whether its rules are loaded; undefined where it does not run, or did not answer in time. */
  readonly hasRules?: boolean
  /** Why its kernel or its nft refuses its present rules, where older ones are still loaded. */
  readonly refused?: string
  /** Instances whose addresses are held or kept, and which it could not prepare for being kept. */
  readonly unarmed: readonly string[]
  /** Connections that are still open here to an address that has moved away, by the port that clients connected to. */
  readonly windows: readonly { readonly instance: string; readonly port: number; readonly connections: number }[]
  /** Peers that have not shown for seconds that a packet with a client's address reaches them from here. */
  readonly unproven: readonly { readonly instance: string; readonly peer: string }[]
}
