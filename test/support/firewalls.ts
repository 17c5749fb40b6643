import type { ObservedFirewall } from '../../src/state/network.ts'

/** A server without any packet filter. */
export const NO_FIREWALL: ObservedFirewall = {
  ufw: undefined,
  firewalld: false,
  netfilterPersistent: false,
  nft: undefined,
  iptables: undefined,
  ufwRules: [],
}
