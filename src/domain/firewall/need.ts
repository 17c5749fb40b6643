import type { Packet } from './chains.ts'

/** Packets that must pass, and their description. */
export interface Need {
  readonly packet: Packet
  /** "VRRP from 192.0.2.12", "TCP to port 80". */
  readonly title: string
  /** Without it there is no failover, or no service. False for a port that the operator may have closed on purpose. */
  readonly isVital: boolean
}
