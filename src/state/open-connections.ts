/** What a look at a server says of open connections and of the service that keeps them when an address moves. Types only. */

export interface ObservedOpenConnections {
  /** Whether its kernel and its nft can do it. `why`: in an operator's words, to follow the server's name. */
  readonly ability: { readonly kind: 'able' } | { readonly kind: 'installable' } | { readonly kind: 'unable'; readonly why: string }
  /** Files that load the packet filter at boot and contain the service's own table: they cannot be loaded while it runs. */
  readonly savedIn: readonly string[]
}
