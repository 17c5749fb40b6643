/** A server's network: its sockets, its neighbours and its packet filter. Types only. */

export interface Listener {
  /** undefined for all addresses of the families. */
  readonly address: string | undefined
  readonly families: readonly (4 | 6)[]
  readonly port: number
  /** Name of the program; undefined where the kernel itself listens. */
  readonly process: string | undefined
}

/** The packet filter of a server, as its own programs print it. */
export interface ObservedFirewall {
  /** ufw's version, where ufw is switched on. */
  readonly ufw: string | undefined
  readonly firewalld: boolean
  readonly netfilterPersistent: boolean
  /** nft -j list ruleset; undefined where there is no nft. */
  readonly nft: string | undefined
  /** iptables-save; undefined where there is none. */
  readonly iptables: string | undefined
  /** ip6tables-save; undefined where there is none. */
  readonly ip6tables?: string | undefined
  /** Whether hactl's own unit that opens it is enabled. */
  readonly opensAtBoot?: boolean
  /** The "### tuple ###" lines of ufw's user.rules and user6.rules: its rules with their comments. */
  readonly ufwRules: readonly string[]
}

export interface Neighbour {
  readonly address: string
  /** MAC address. */
  readonly linkAddress: string
}
