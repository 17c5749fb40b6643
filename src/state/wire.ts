/** What servers hear when they speak to each other: VRRP's protocol, and packets of strangers. Types only. */

/** One network on which a server speaks VRRP, and with whom. IPv4. */
export interface WireLink {
  readonly interface: string
  /** The server's own address there. */
  readonly address: string
  readonly multicast: boolean
  /** Addresses of the other servers. */
  readonly peers: readonly string[]
  /** Whether its own packet filter may refuse to send. Sending is tried only then, because a packet that was sent opens the way back for minutes. */
  readonly mayRefuse: boolean
}

/** What a server heard while all of them sent protocol 112 to each other. */
export interface WireReport {
  readonly link: WireLink
  /** Peers whose packets arrived at the interface. */
  readonly arrived: readonly string[]
  /** Peers whose packets this server's packet filter let in. */
  readonly passed: readonly string[]
  /** Peers that answer ARP there. */
  readonly neighbours: readonly string[]
  /** Why this server's own packet filter does not send to these addresses. */
  readonly refused: Readonly<Record<string, string>>
  /** All VRRP routers that are heard, those of other clusters included. */
  readonly routers: readonly { readonly address: string; readonly virtualRouterId: number }[]
}

/** One network over which servers send packets of open connections on to each other: one family. */
export interface CarryLink {
  readonly interface: string
  readonly family: 4 | 6
  /** The server's own address there. */
  readonly address: string
  readonly virtualAddress: string
  /** The source of the packets, which no server has, and their UDP port. */
  readonly stranger: string
  readonly port: number
  /** Addresses of the other servers. */
  readonly peers: readonly string[]
}

/** What a server heard while all of them sent packets with a foreign source to each other. */
export interface CarryReport {
  readonly link: CarryLink
  /** Peers to which this server could send. */
  readonly met: readonly string[]
  /** Peers whose packets with a foreign source arrived here. */
  readonly carried: readonly string[]
}
