/** Addresses and networks, both families. ipaddr.js does the arithmetic. */
import ipaddr from 'ipaddr.js'
import type { InterfaceAddress } from '../state/machine.ts'
import type { VirtualAddress } from './cluster-types.ts'

/** The address in the form `ip` prints (RFC 5952 for IPv6), or undefined where the text is none. */
export function canonicalAddress(text: string): { readonly address: string; readonly family: 4 | 6 } | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return { address: ipaddr.IPv4.parse(text).toString(), family: 4 }
  if (!text.includes(':') || !ipaddr.IPv6.isValid(text) || text.includes('%')) return undefined
  return { address: ipaddr.IPv6.parse(text).toRFC5952String(), family: 6 }
}

/** "192.0.2.200/24" or "192.0.2.200"; undefined where it is neither. */
export function parseVirtualAddress(text: string): VirtualAddress | undefined {
  const [head = '', length, ...rest] = text.split('/')
  const found = canonicalAddress(head)
  if (found === undefined || rest.length > 0) return undefined
  if (length === undefined) return { ...found, prefix: undefined, text }
  const prefix = Number(length)
  if (!/^\d{1,3}$/.test(length) || prefix > (found.family === 4 ? 32 : 128)) return undefined
  return { ...found, prefix, text }
}

/** Whether the address lies in the network that `network/prefix` spans. False where the families differ. */
export function isInNetwork(address: string, network: string, prefix: number): boolean {
  const a = ipaddr.parse(address)
  const n = ipaddr.parse(network)
  if (a.kind() !== n.kind()) return false
  return a.match(n, prefix)
}

export function isLinkLocal(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'linkLocal'
}

/** Orders addresses by value, as keepalived does to decide between two masters of equal priority. */
export function compareAddresses(a: string, b: string): number {
  const x = ipaddr.parse(a).toByteArray()
  const y = ipaddr.parse(b).toByteArray()
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const d = (x[i] ?? 0) - (y[i] ?? 0)
    if (d !== 0) return d
  }
  return 0
}

/**
 * Whether a server with these addresses holds this one. A server that has given it away keeps it on lo for as long as it has open
 * connections of it, so that it may answer them.
 */
export function isHeld(addresses: readonly InterfaceAddress[], address: string): boolean {
  return addresses.some(own => own.address === address && own.interface !== 'lo')
}
